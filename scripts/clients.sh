#!/usr/bin/env bash
# Every Kafka client that can be had, against the broker of this repository: the checks of platform/broker/clients/checks.txt.
#
#   clients.sh [PROGRAM] [--only python|node|go|java|rust|c] [--quick] [--fetch] [--write]
#
# PROGRAM is the osqdemo to run. Clients are installed into target/clients, once, by pip, npm, go, mvn, cargo and
# apt-get download; one that cannot be had is not run, which is said. --quick is one client of each kind, which takes a
# minute and a half; --fetch installs, and runs nothing. --write writes docs/clients.md. What fails is tried on Apache Kafka as well, where that
# can be had. Ends with 1 when a check has failed that does not fail there.
set -euo pipefail
program=target/release/osqdemo only='' quick='' fetch='' write=''
while [ $# -gt 0 ]; do
  case $1 in
    --only) only=$2; shift 2 ;;
    --quick) quick='python/confluent python/kafka-python node/kafkajs go/franz java/4.2.0 c/kcat'; shift ;;
    --fetch) fetch=yes; shift ;;
    --write) write=yes; shift ;;
    *) program=$1; shift ;;
  esac
done
[ -n "$fetch" ] || program=$(realpath "$program")
cd "$(dirname "$0")/.."
sources=$PWD/platform/broker/clients
installed=$PWD/target/clients
results=$installed/results
mkdir -p "$results"
# One that is no client any more leaves nothing for the page.
[ -n "$only$quick$fetch" ] || rm -f "$results"/*
# shellcheck source=scripts/servers.sh
. scripts/servers.sh

if [ -z "$fetch" ]; then
  broker=127.0.0.1:$(free_port)
  serve broker broker --data-dir "$folder/broker" --listen "$broker"
  until_healthy kafka "$broker"
fi

failed=0
# Whether a client is among those that are asked for.
wanted() {
  [ -z "$only" ] || [[ $1 == "$only"/* ]] || return 1
  [ -z "$quick" ] || [[ " $quick " == *" $1 "* ]]
}

# The checks of a result that have failed.
failures() { grep -P '\tfailed\t' "$1" | cut -f 1 | sort; }

# Apache Kafka, from the first time that something fails on; its address in $kafka_broker, empty where it cannot be had.
kafka_broker=unknown
start_kafka() {
  [ "$kafka_broker" = unknown ] || return 0
  kafka_broker=''
  scripts/kafka.sh fetch 4.2.0 || return 0
  local address
  address=127.0.0.1:$(free_port)
  scripts/kafka.sh broker 4.2.0 "$folder/kafka" "${address#*:}" --controller "$(free_port)" \
    authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer allow.everyone.if.no.acl.found=true \
    super.users=User:ANONYMOUS >"$folder/kafka.log" 2>&1 &
  pids+=($!)
  until_healthy kafka "$address"
  kafka_broker=$address
}

# One client: its place in the table, its name, what installs it (a function), and the command that runs it.
client() {
  local place=$1 name=$2 install=$3 status=0 ours=''
  shift 3
  local log=$installed/${place//\//-}.log result=$results/${place//\//-}.tsv
  local alike=${result%.tsv}.kafka
  wanted "$place" || return 0
  mkdir -p "$installed"
  if ! "$install" >"$log" 2>&1; then
    printf 'client\t%s\tnot run: %s\n' "$name" "$(grep -v '^ *$' "$log" | tail -n 1 | cut -c 1-200)" >"$result"
    echo "clients: $name NOT RUN: it cannot be installed here; $log says why" >&2
    return 0
  fi
  [ -z "$fetch" ] || return 0
  echo "clients: $name" >&2
  rm -f "$alike"
  timeout 900 "$@" "$broker" "$sources/checks.txt" >"$result.new" 2>>"$log" || status=$?
  mv "$result.new" "$result"
  if grep -P '\tfailed\t' "$result" >&2; then
    # Apache Kafka's tools were beside it already.
    [[ $place == java/tools-* ]] || start_kafka
    if [[ $place != java/tools-* ]] && [ -n "$kafka_broker" ]; then
      echo "clients: $name on Apache Kafka" >&2
      timeout 900 "$@" "$kafka_broker" "$sources/checks.txt" >"$alike" 2>>"$log" || true
      ours=$(comm -23 <(failures "$result") <(failures "$alike"))
    else
      ours=$(failures "$result")
    fi
    [ -z "$ours" ] || failed=1
  elif [ "$status" -ne 0 ]; then
    failed=1
    echo "clients: $name ended with $status; $log says why" >&2
  fi
}

# shellcheck source=/dev/null
for part in python node go java rust c; do
  [ ! -e "$sources/$part/run.sh" ] || source "$sources/$part/run.sh"
done
[ -z "$quick" ] || touch "$installed/quick"
[ -z "$write" ] || python3 "$sources/table.py" "$sources/checks.txt" "$results" >docs/clients.md
exit "$failed"
