#!/usr/bin/env bash
# Tools.java on a broker of its own, beside a real Kafka of its version: `tools.sh VERSION CLASSES OSQDEMO …`.
set -euo pipefail
version=$1 classes=$2 program=$3
sources=$(cd "$(dirname "$0")" && pwd)
cd "$sources/../../../.."
kafka=$PWD/target/test-tools/kafka-$version
folder=$(mktemp -d)
pids=()
finish() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$folder"
}
trap finish EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# As the broker is: with a store of rules, and everything allowed that none forbids.
real=127.0.0.1:$(free_port)
scripts/kafka.sh broker "$version" "$folder/real" "${real#*:}" --controller "$(free_port)" \
  authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer allow.everyone.if.no.acl.found=true \
  super.users=User:ANONYMOUS auto.create.topics.enable=false >"$folder/real.log" 2>&1 &
pids+=($!)
broker=127.0.0.1:$(free_port)
"$program" serve broker --data-dir "$folder/broker" --listen "$broker" 2>"$folder/broker.log" &
pids+=($!)
for address in "$real" "$broker"; do
  for ((tries = 0; ; tries++)); do
    (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null && break
    ((tries < 240)) || { tail -n 5 "$folder"/*.log >&2; exit 2; }
    sleep 0.5
  done
done

mkdir "$folder/tmp"
same='{"version":1,"partitions":[{"topic":"lines","partition":0,"replicas":[1]}]}'
echo "$same" >"$folder/tmp/same.json"
echo "${same/\[1\]/[9]}" >"$folder/tmp/other.json"
echo '{"version":1,"topics":[{"topic":"lines"}]}' >"$folder/tmp/topics.json"
echo '{"version":1,"partitions":[{"topic":"lines","partition":0,"offset":0}]}' >"$folder/tmp/records.json"
printf 'lines,0,0\nlines,1,0\n' >"$folder/tmp/offsets.csv"
touch "$folder/tmp/empty.properties"
java -Xmx384m -XX:+UseSerialGC -Dkafka.log.level=ERROR "-Dlog4j.configuration=file:$kafka/log4j.properties" \
  "-Dlog4j2.configurationFile=$kafka/log4j2.properties" "-Djava.io.tmpdir=$folder/tmp" "-Dcommands=$sources/tools.txt" \
  -cp "$kafka/libs/*:$classes" Tools "$real" "$broker"
