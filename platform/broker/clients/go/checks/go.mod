module osqdemo/clients/checks

go 1.26.0
