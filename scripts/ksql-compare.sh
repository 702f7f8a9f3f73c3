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
# shellcheck source=scripts/servers.sh
. "$here/servers.sh"

urls=()
for name in a b; do
  broker=127.0.0.1:$(free_port)
  server=127.0.0.1:$(free_port)
  serve "$name-broker" broker --data-dir "$folder/$name" --listen "$broker"
  serve "$name-ksqldb" ksqldb --listen "$server" --bootstrap-servers "$broker"
  until_healthy ksqldb "$server"
  urls+=("http://$server")
done
python3 "$here/ksql-compare.py" "${urls[@]}"
