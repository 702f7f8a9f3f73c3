#!/usr/bin/env bash
# The Python client of a Schema Registry and its serializers, newest and 2.5, against the registry of this repository.
# The argument is the program to run. The clients are installed into target/registry-clients, once; one that cannot be
# had is not run, which is said.
set -euo pipefail
program=$(realpath "${1:-target/release/osqdemo}")
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
broker=127.0.0.1:$(free_port)
registry=127.0.0.1:$(free_port)
"$program" serve broker --data-dir "$folder/broker" --listen "$broker" 2>"$folder/broker.log" &
pids+=($!)
"$program" serve schema-registry --listen "$registry" --bootstrap-servers "$broker" 2>"$folder/registry.log" &
pids+=($!)
deadline=$((SECONDS + 60))
until "$program" probe schema-registry "$registry" >/dev/null 2>&1; do
  ((SECONDS < deadline)) || { cat "$folder"/*.log >&2; echo "registry-clients: the registry does not answer" >&2; exit 1; }
done

for client in newest 2.5; do
  case $client in
    newest) packages=("confluent-kafka[avro,json,protobuf,schemaregistry]") ;;
    # Of a time when these extras and this protobuf were all there was.
    2.5) packages=("confluent-kafka[avro,json,protobuf]==2.5.3" "protobuf<5") ;;
  esac
  place=target/registry-clients/$client
  if ! "$place/bin/python" -c 'import confluent_kafka' 2>/dev/null; then
    if ! { python3 -m venv "$place" && "$place/bin/pip" install --quiet "${packages[@]}"; }; then
      rm -rf "$place"
      echo "registry-clients: $client NOT RUN: ${packages[*]} cannot be installed here, for the reason above" >&2
      continue
    fi
  fi
  "$place/bin/python" -W ignore scripts/registry-clients.py --url "http://$registry" --broker "$broker"
done
