# Clients in Go: one module, whose go.mod says which. Read by scripts/clients.sh.

go_install() {
  mkdir -p "$installed/go"
  (cd "$sources/go" && go build -o "$installed/go/" "./$go_program")
}

for go_program in franz sarama kafkago confluent; do
  client "go/$go_program" "$go_program" go_install "$installed/go/$go_program"
done
