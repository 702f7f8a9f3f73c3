# Clients in Go: one module, whose go.mod says which, and one for each that is big. Read by scripts/clients.sh.

go_install() {
  mkdir -p "$installed/go"
  (cd "$sources/go" && go build -o "$installed/go/" "./$go_program")
}

for go_program in franz sarama kafkago confluent; do
  client "go/$go_program" "$go_program" go_install "$installed/go/$go_program"
done
go_big_install() {
  mkdir -p "$installed/go"
  (cd "$sources/go/$go_program" && go build -o "$installed/go/$go_program" .)
}

for go_program in otel telegraf; do
  client "go/$go_program" "$go_program" go_big_install "$installed/go/$go_program"
done

# sarama speaks as the version of Kafka that it is told of.
go_program=sarama
for version in 1.0.0 2.0.0 2.8.0 3.6.0; do
  client "go/sarama-$version" "sarama at $version" go_install env "SARAMA_VERSION=$version" "$installed/go/sarama"
done
