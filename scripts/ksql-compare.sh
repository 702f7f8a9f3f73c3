#!/usr/bin/env bash
# What two ksqlDB servers answer differently.
#
#   ksql-compare.sh URL_A URL_B     two servers that are there, both empty: ours and a real one
#   ksql-compare.sh [PROGRAM]       our own server twice: whatever differs depends on chance
set -euo pipefail
here=$(dirname "$(realpath "$0")")
if [[ ${1:-} == http* ]]; then
  exec python3 "$here/ksql-compare.py" "$@"
fi
program=$(realpath "${1:-$here/../target/release/osqdemo}")
folder=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
urls=()
for name in a b; do
  broker=127.0.0.1:$(free_port)
  server=127.0.0.1:$(free_port)
  "$program" serve broker --data-dir "$folder/$name" --listen "$broker" 2>"$folder/$name-broker.log" &
  pids+=($!)
  "$program" serve ksqldb --listen "$server" --bootstrap-servers "$broker" 2>"$folder/$name-ksqldb.log" &
  pids+=($!)
  deadline=$((SECONDS + 60))
  until "$program" probe ksqldb "$server" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { cat "$folder"/*.log >&2; echo "ksql-compare: the server does not answer" >&2; exit 2; }
  done
  urls+=("http://$server")
done
python3 "$here/ksql-compare.py" "${urls[@]}"
