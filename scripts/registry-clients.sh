#!/usr/bin/env bash
# The Python client of a Schema Registry and its serializers, newest and 2.5, against the registry of this repository.
# The argument is the program to run. The clients are installed into target/registry-clients, once; one that cannot be
# had is not run, which is said.
set -euo pipefail
program=$(realpath "${1:-target/release/osqdemo}")
cd "$(dirname "$0")/.."
# shellcheck source=scripts/servers.sh
. scripts/servers.sh

broker=127.0.0.1:$(free_port)
registry=127.0.0.1:$(free_port)
serve broker broker --data-dir "$folder/broker" --listen "$broker"
serve registry schema-registry --listen "$registry" --bootstrap-servers "$broker"
until_healthy schema-registry "$registry"

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
