# shellcheck shell=bash
# For scripts that run clients against servers of this repository: sourced, with `program` set to the osqdemo to run. What is
# started ends with the script, and $folder, where the servers have their data and logs, goes with it.

folder=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap finish EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# serve NAME ARGUMENT…: starts `osqdemo serve ARGUMENT…`, whose log is NAME's.
serve() {
  local name=$1
  shift
  "${program:?}" serve "$@" 2>"$folder/$name.log" &
  pids+=($!)
}

# until_healthy PROBE ADDRESS: ends the script with 2 where nothing answers within a minute.
until_healthy() {
  local deadline=$((SECONDS + 60))
  until "$program" probe "$1" "$2" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || { cat "$folder"/*.log >&2; echo "${0##*/}: $1 at $2 does not answer" >&2; exit 2; }
  done
}
