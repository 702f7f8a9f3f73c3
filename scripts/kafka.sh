#!/usr/bin/env bash
# The real Apache Kafka, beside which the embedded broker is tested and measured: fetched from Maven Central with mvn
# into target/test-tools/kafka-VERSION/, and run from there.
#
#   kafka.sh fetch [VERSION…]                      fetch (3.9 and 4 without a version); nothing where it is there
#   kafka.sh file-sink VERSION                     the same, and Connect's plugin for files, into the folder connect of it
#   kafka.sh broker VERSION FOLDER PORT --controller PORT [--scram SPEC]… [KEY=VALUE…]      a broker in KRaft form
#   kafka.sh broker VERSION FOLDER PORT --zookeeper PORT [KEY=VALUE…]                       the same with ZooKeeper (3.9)
#   kafka.sh zookeeper VERSION FOLDER PORT         the ZooKeeper of that
#   kafka.sh tool VERSION CLASS [ARGUMENT…]        one of Kafka's own tools, by its Java class, such as
#                                                  org.apache.kafka.tools.ProducerPerformance
#
# A broker and a ZooKeeper run in the foreground, on 127.0.0.1, as the process that was started: who started it waits
# until the port answers, and ends it by its process id. FOLDER keeps data and configuration. KEY=VALUE are lines of
# server.properties that win over those written here; listeners of TLS or SASL are given that way (name the listener
# CONTROLLER://127.0.0.1:PORT among them). SPEC is a user that is there from the start, for instance
# 'SCRAM-SHA-256=[name=alice,password=secret]'. KAFKA_HEAP (512m) and KAFKA_LOG_LEVEL (INFO; tools WARN) may be set.
set -euo pipefail

versions=(3.9.2 4.2.0)
tools=$(cd "$(dirname "$0")/.." && pwd)/target/test-tools

fail() {
  echo "kafka: $1" >&2
  [ -z "${2:-}" ] || echo "hint: $2" >&2
  exit 1
}

need_programs() {
  local missing=()
  command -v java >/dev/null || missing+=(default-jre-headless)
  command -v mvn >/dev/null || missing+=(maven)
  [ ${#missing[@]} -eq 0 ] && return
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "kafka: installing ${missing[*]}" >&2
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
  else
    fail "missing packages: ${missing[*]}" "sudo apt-get install ${missing[*]}"
  fi
}

# The level is a property of the process, so one file serves broker and tools. Kafka 3 logs with log4j, 4 with log4j 2.
write_logging() {
  cat >"$1/log4j.properties" <<'END'
log4j.rootLogger=${kafka.log.level}, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.target=System.err
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c: %m%n
END
  cat >"$1/log4j2.properties" <<'END'
appender.out.type=Console
appender.out.name=out
appender.out.target=SYSTEM_ERR
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c: %m%n
rootLogger.level=${sys:kafka.log.level}
rootLogger.appenderRef.out.ref=out
END
}

fetch() {
  local version=$1 folder=$tools/kafka-$1 work logging=
  [ -d "$folder" ] && return
  need_programs
  # What makes slf4j write; Kafka 3 brings its own.
  [[ $version == 3.* ]] || logging='<dependency><groupId>org.apache.logging.log4j</groupId>
    <artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>'
  mkdir -p "$tools"
  work=$(mktemp -d "$tools/kafka.XXXXXX")
  # Of this function alone: a trap stays for whoever returns next.
  trap 'rm -rf "$work"; trap - RETURN' RETURN
  cat >"$work/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>osqdemo</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
    $logging
  </dependencies>
</project>
END
  echo "kafka: fetching Apache Kafka $version" >&2
  mvn -B -q -f "$work/pom.xml" dependency:copy-dependencies "-DoutputDirectory=$work/libs" -DincludeScope=runtime >&2 ||
    fail "Apache Kafka $version cannot be had from Maven Central"
  write_logging "$work"
  # Two at once: the first wins.
  mv -T "$work" "$folder" 2>/dev/null || [ -d "$folder/libs" ]
}

# Kafka's own archive has it among the rest; here it is apart, for a plugin path.
fetch_file_sink() {
  local folder=$tools/kafka-$1/connect work
  fetch "$1"
  [ -d "$folder" ] && return
  need_programs
  work=$(mktemp -d "$tools/kafka.XXXXXX")
  mvn -B -q dependency:copy "-Dartifact=org.apache.kafka:connect-file:$1" "-DoutputDirectory=$work" >&2 || {
    rm -rf "$work"
    fail "connect-file $1 cannot be had from Maven Central"
  }
  # Whoever runs from an image reads it.
  chmod 755 "$work"
  mv -T "$work" "$folder" 2>/dev/null || rm -rf "$work"
}

java_of() {
  local version=$1 level=$2
  shift 2
  fetch "$version"
  local folder=$tools/kafka-$version
  java_command=(java "-Xmx${KAFKA_HEAP:-512m}" -XX:+UseSerialGC
    "-Dkafka.log.level=${KAFKA_LOG_LEVEL:-$level}" "-Dlog4j.configuration=file:$folder/log4j.properties"
    "-Dlog4j2.configurationFile=$folder/log4j2.properties" -cp "$folder/libs/*" "$@")
}

broker() {
  local version=$1 folder=$2 port=$3 controller= zookeeper=
  shift 3
  local scram=() properties=()
  while [ $# -gt 0 ]; do
    case $1 in
      --controller) controller=$2; shift 2 ;;
      --zookeeper) zookeeper=$2; shift 2 ;;
      --scram) scram+=(--add-scram "$2"); shift 2 ;;
      *=*) properties+=("$1"); shift ;;
      *) fail "unknown argument: $1" ;;
    esac
  done
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  {
    if [ -n "$zookeeper" ]; then
      echo "broker.id=1"
      echo "zookeeper.connect=127.0.0.1:$zookeeper"
      echo "listeners=PLAINTEXT://127.0.0.1:$port"
    elif [ -n "$controller" ]; then
      echo "node.id=1"
      echo "process.roles=broker,controller"
      echo "controller.quorum.voters=1@127.0.0.1:$controller"
      echo "controller.listener.names=CONTROLLER"
      echo "listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
    else
      fail "broker: --controller PORT or --zookeeper PORT is missing"
    fi
    # Kafka's own choice holds only as long as no listener wants TLS or SASL.
    echo "listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"
    echo "log.dirs=$folder/data"
    # One broker, and nobody waits for a second member of a group.
    echo "offsets.topic.replication.factor=1"
    echo "transaction.state.log.replication.factor=1"
    echo "transaction.state.log.min.isr=1"
    echo "share.coordinator.state.topic.replication.factor=1"
    echo "share.coordinator.state.topic.min.isr=1"
    echo "group.initial.rebalance.delay.ms=0"
    printf '%s\n' ${properties[@]+"${properties[@]}"}
  } >"$folder/server.properties"
  if [ -n "$controller" ] && [ ! -e "$folder/data/meta.properties" ]; then
    local cluster
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | tr -d '=')
    java_of "$version" WARN kafka.tools.StorageTool format --cluster-id "$cluster" \
      --config "$folder/server.properties" ${scram[@]+"${scram[@]}"}
    "${java_command[@]}" >&2
  fi
  java_of "$version" INFO kafka.Kafka "$folder/server.properties"
  exec "${java_command[@]}"
}

zookeeper() {
  local version=$1 folder=$2 port=$3
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  cat >"$folder/zookeeper.properties" <<END
dataDir=$folder/data
clientPort=$port
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
END
  java_of "$version" INFO org.apache.zookeeper.server.quorum.QuorumPeerMain "$folder/zookeeper.properties"
  exec "${java_command[@]}"
}

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
  fetch)
    [ $# -gt 0 ] || set -- "${versions[@]}"
    for version in "$@"; do fetch "$version"; done
    ;;
  file-sink) [ $# -eq 1 ] || fail "file-sink VERSION"; fetch_file_sink "$1" ;;
  broker) [ $# -ge 3 ] || fail "broker VERSION FOLDER PORT …"; broker "$@" ;;
  zookeeper) [ $# -eq 3 ] || fail "zookeeper VERSION FOLDER PORT"; zookeeper "$@" ;;
  tool)
    [ $# -ge 2 ] || fail "tool VERSION CLASS [ARGUMENT…]"
    java_of "$1" WARN "${@:2}"
    exec "${java_command[@]}"
    ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
