#!/usr/bin/env bash
# Every Kafka client that can be had, against the broker of this repository: the checks of platform/broker/clients/checks.txt.
#
#   clients.sh [PROGRAM] [--only python|node|go|java|rust|c] [--write]
#
# PROGRAM is the osqdemo to run. Clients are installed into target/clients, once, by pip, npm, go, mvn, cargo and
# apt-get download; one that cannot be had is not run, which is said. --write writes docs/clients.md. Ends with 1 when a check has
# failed.
set -euo pipefail
program=target/release/osqdemo only='' write=''
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift 2 ;;
    --write) write=yes; shift ;;
    *) program=$1; shift ;;
  esac
done
program=$(realpath "$program")
cd "$(dirname "$0")/.."
sources=$PWD/platform/broker/clients
installed=$PWD/target/clients
results=$installed/results
mkdir -p "$results"
# shellcheck source=scripts/servers.sh
. scripts/servers.sh

broker=127.0.0.1:$(free_port)
serve broker broker --data-dir "$folder/broker" --listen "$broker"
until_healthy kafka "$broker"

failed=0
# One client: its place in the table, its name, what installs it (a function), and the command that runs it.
client() {
  local place=$1 name=$2 install=$3 status=0
  shift 3
  local log=$installed/${place//\//-}.log result=$results/${place//\//-}.tsv
  [ -z "$only" ] || [[ $place == "$only"/* ]] || return 0
  mkdir -p "$installed"
  if ! "$install" >"$log" 2>&1; then
    printf 'client\t%s\tnot run: %s\n' "$name" "$(grep -v '^ *$' "$log" | tail -n 1 | cut -c 1-200)" >"$result"
    echo "clients: $name NOT RUN: it cannot be installed here; $log says why" >&2
    return 0
  fi
  echo "clients: $name" >&2
  timeout 900 "$@" "$broker" "$sources/checks.txt" >"$result.new" 2>>"$log" || status=$?
  mv "$result.new" "$result"
  if grep -P '\tfailed\t' "$result" >&2; then
    failed=1
  elif [ "$status" -ne 0 ]; then
    failed=1
    echo "clients: $name ended with $status; $log says why" >&2
  fi
}

# shellcheck source=/dev/null
for part in python node go java rust c; do
  [ ! -e "$sources/$part/run.sh" ] || source "$sources/$part/run.sh"
done
[ -z "$write" ] || python3 "$sources/table.py" "$sources/checks.txt" "$results" >docs/clients.md
exit "$failed"
