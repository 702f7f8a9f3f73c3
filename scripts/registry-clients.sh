#!/usr/bin/env bash
# Every client of a Schema Registry that can be had, with its serializers, against the registry of this repository:
# Confluent's for Python (newest and 2.5), Node and Go, kafkajs's, franz-go's and hamba's.
#
#   registry-clients.sh [PROGRAM] [--only python|node|go] [--all]
#
# PROGRAM is the osqdemo to run. The clients are installed into target/registry-clients, once, by pip, npm and go; one that
# cannot be had is not run, which is said. Confluent's for Node and Go, which bring half a cloud along, are run with --all.
# Ends with 1 when a check has failed.
set -euo pipefail
program=target/release/osqdemo only='' all=''
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift 2 ;;
    --all) all=yes; shift ;;
    *) program=$1; shift ;;
  esac
done
case $only in '' | python | node | go) ;; *) echo "registry-clients: --only takes python, node or go" >&2; exit 2 ;; esac
program=$(realpath "$program")
cd "$(dirname "$0")/.."
sources=$PWD/platform/schema-registry/clients
installed=$PWD/target/registry-clients
mkdir -p "$installed"
# shellcheck source=scripts/servers.sh
. scripts/servers.sh

broker=127.0.0.1:$(free_port)
registry=127.0.0.1:$(free_port)
serve broker broker --data-dir "$folder/broker" --listen "$broker"
serve registry schema-registry --listen "$registry" --bootstrap-servers "$broker"
until_healthy schema-registry "$registry"

failed=0
# client LANGUAGE NAME INSTALL COMMAND…: installs, with the function INSTALL, and runs a client.
client() {
  local language=$1 name=$2 install=$3
  shift 3
  [ -z "$only" ] || [ "$only" = "$language" ] || return 0
  local log=$installed/$language-$name.log
  if ! "$install" >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "registry-clients: $language $name NOT RUN: it cannot be installed here, for the reason above" >&2
    return 0
  fi
  timeout 300 "$@" || { failed=1; echo "registry-clients: $language $name failed" >&2; }
}

python_install() {
  "$place/bin/python" -c 'import confluent_kafka' 2>/dev/null && return
  rm -rf "$place"
  python3 -m venv "$place" && "$place/bin/pip" install --quiet "${packages[@]}"
}
python_client() {
  place=$installed/$1 packages=("${@:2}")
  client python "$1" python_install \
    "$place/bin/python" -W ignore "$sources/python/confluent.py" --url "http://$registry" --broker "$broker"
}
python_client newest "confluent-kafka[avro,json,protobuf,schemaregistry]"
# Of a time when these extras and this protobuf were all there was.
python_client 2.5 "confluent-kafka[avro,json,protobuf]==2.5.3" "protobuf<5"

node_install() {
  [ -e "$place/complete" ] || {
    rm -rf "$place"
    mkdir -p "$place"
    npm install --prefix "$place" --no-audit --no-fund --silent "${packages[@]}" && touch "$place/complete"
  } || return
  # Beside what was installed, so that it is found.
  cp "$sources/node"/*.js "$place/"
}
node_client() {
  place=$installed/node-$1 packages=("${@:2}")
  client node "$1" node_install node "$place/$1.js" "http://$registry"
}
node_client kafkajs @kafkajs/confluent-schema-registry
[ -z "$all" ] || node_client confluent @confluentinc/schemaregistry

go_install() {
  (cd "$sources/go" && go build -o "$installed/go-$go_program" "./$go_program")
}
for go_program in franz hamba ${all:+confluent}; do
  client go "$go_program" go_install "$installed/go-$go_program" "http://$registry"
done
exit "$failed"
