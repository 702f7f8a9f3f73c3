#!/usr/bin/env bash
# The Python clients of ksqlDB against the ksqlDB of this repository. The argument is the program to run. The clients are
# installed into target/ksql-clients, once; one that cannot be had is not run, which is said.
set -euo pipefail
program=$(realpath "${1:-target/release/osqdemo}")
cd "$(dirname "$0")/.."
# shellcheck source=scripts/servers.sh
. scripts/servers.sh

broker=127.0.0.1:$(free_port)
server=127.0.0.1:$(free_port)
serve broker broker --data-dir "$folder/broker" --listen "$broker"
serve ksqldb ksqldb --listen "$server" --bootstrap-servers "$broker"
until_healthy ksqldb "$server"

for client in ksql-python-ng ksqldb jetblack-ksql-dbapi; do
  python=python3
  case $client in
    # Calls httpx as it was before 0.28.
    ksql-python-ng) packages=(ksql-python-ng "httpx[http2]<0.28") ;;
    ksqldb) packages=(ksqldb "httpx[http2]") ;;
    # Says `type X = …`, which is Python 3.12, and names no HTTP client that it needs.
    jetblack-ksql-dbapi)
      packages=(jetblack-ksql-dbapi "httpx[http2]")
      for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12; do
        ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null || break
      done
      ;;
  esac
  place=target/ksql-clients/$client
  if [ ! -e "$place/installed" ]; then
    rm -rf "$place"
    if ! { "$python" -m venv "$place" && "$place/bin/pip" install --quiet "${packages[@]}"; }; then
      rm -rf "$place"
      echo "ksql-clients: $client NOT RUN: ${packages[*]} cannot be installed here, for the reason above" >&2
      continue
    fi
    touch "$place/installed"
  fi
  "$place/bin/python" scripts/ksql-clients.py "$client" "http://$server"
done
