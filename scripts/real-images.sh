#!/usr/bin/env bash
# Makes images under the names that the stacks pin, for machines that cannot pull them, out of the real programs where
# they can be had: Apache Kafka, its ZooKeeper and its Connect from Maven Central, Debian's Java, Prometheus and
# Alertmanager, and our Debian base. In place of Confluent's Schema Registry, ksqlDB and Control Center stand ours. What starts them
# (tests/fixtures/real-images/start) applies the rules by which the images of these names turn their environment into
# properties. For tests: images of these names that somebody pulled are left alone.
#
#   real-images.sh kafka                    apache/kafka, for stack `kafka`
#   real-images.sh confluent [OSQDEMO]      those of stack `confluent`, ours from that binary (target/debug/osqdemo)
#   real-images.sh confluent-8 [OSQDEMO]    those of stack `confluent-8`
set -euo pipefail
self=$(realpath "$0")
osqdemo=$(realpath -m "${2:-$(dirname "$self")/../target/debug/osqdemo}")
cd "$(dirname "$self")/.."

# The Kafka that Confluent Platform 7.9 and 8.2 are made of.
kafka_of_7=3.9.2
kafka_of_8=4.2.0

label=io.osqdemo.stand-in
fixture=tests/fixtures/real-images/start
work=$(mktemp -d)

# An image that is made anew leaves the one that had its name behind, without a name: that goes, once nothing is made of
# it any more.
clean() {
  rm -rf "$work"
  docker image prune -f --filter "label=$label" >/dev/null 2>&1 || true
}
trap clean EXIT

build() { # NAME FOLDER, with the Dockerfile on standard input
  cat >"$2/Dockerfile"
  docker build -q --label "$label=yes" -t "$1" "$2" >/dev/null
}

# Java, once for all.
make_java() {
  scripts/base-image.sh
  mkdir -p "$work/java"
  build osqdemo-test/java "$work/java" <<'DOCKERFILE'
FROM debian:bookworm-slim
# The base image has no folder for manual pages, and Java's package wants one.
RUN install -d /usr/share/man/man1 \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd -u 1000 appuser
DOCKERFILE
}

# The image with Apache Kafka, which is what is in it: sending that to the daemon takes longer than all the rest.
make_kafka() { # VERSION
  local version=$1 folder=target/test-tools/kafka-$1 made_of
  made_of=$(cat "$self" "$fixture" | sha256sum | cut -d ' ' -f 1)
  if [ "$(docker image inspect -f '{{index .Config.Labels "made-of"}}' "osqdemo-test/kafka:$version" 2>/dev/null)" = \
    "$made_of" ]; then
    return
  fi
  make_java
  scripts/kafka.sh file-sink "$version"
  mkdir -p "$work/kafka"
  cp -r "$folder"/{libs,connect,log4j.properties,log4j2.properties} "$fixture" "$work/kafka"
  printf '#!/bin/sh\nexec start connect-distributed "$1"\n' >"$work/kafka/connect-distributed.sh"
  chmod +x "$work/kafka/connect-distributed.sh"
  build "osqdemo-test/kafka:$version" "$work/kafka" <<DOCKERFILE
FROM osqdemo-test/java
COPY libs /opt/kafka/libs
# In Apache's image, and in Confluent's.
COPY connect /opt/kafka/libs
COPY connect /usr/share/filestream-connectors
COPY log4j.properties log4j2.properties /opt/kafka/config/
COPY connect-distributed.sh /opt/kafka/bin/
RUN chown appuser /opt/kafka /opt/kafka/config \\
 && install -d -o appuser /var/lib/kafka/data /var/lib/zookeeper/data /var/lib/zookeeper/log
COPY start /usr/local/bin/
USER appuser
RUN LINE=7 start archive-classes
LABEL made-of=$made_of
DOCKERFILE
  rm -r "$work/kafka"
}

# The image with our services.
make_ours() { # OSQDEMO
  scripts/base-image.sh
  mkdir -p "$work/ours"
  cp "$fixture" "$work/ours"
  strip -o "$work/ours/osqdemo" "$1"
  build osqdemo-test/ours "$work/ours" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN useradd -u 1000 appuser
COPY start osqdemo /usr/local/bin/
USER appuser
DOCKERFILE
}

# The image with Prometheus and Alertmanager: what they need of their packages, whose pages and tools are as large.
make_monitoring() {
  scripts/base-image.sh
  mkdir -p "$work/monitoring"
  cp "$fixture" "$work/monitoring"
  build osqdemo-test/monitoring "$work/monitoring" <<'DOCKERFILE'
FROM debian:bookworm-slim
RUN useradd -u 1000 appuser \
 && install -d -o appuser /var/lib/confluent/control-center/prometheus/data /var/lib/confluent/control-center/alertmanager \
 && apt-get update -qq \
 && cd /tmp \
 && apt-get download -qq prometheus prometheus-alertmanager \
 && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x -C / ./usr/bin/prometheus \
 && dpkg-deb --fsys-tarfile prometheus-alertmanager_*.deb \
  | tar -x -C / --wildcards ./usr/bin/prometheus-alertmanager '*.tmpl' \
 && rm -rf ./*.deb /var/lib/apt/lists/* /var/cache/apt/*
COPY start /usr/local/bin/
USER appuser
DOCKERFILE
}

# The image of that name in a stack file, of one of the bases made above.
make_image() { # STACK REPOSITORY BASE LINE START
  local stack=$1 base=$3 line=$4 start=$5 name is_stand_in
  name=$(sed -n "s|^ *image: \($2:.*\)|\1|p" "compose/$stack.yaml" | head -n 1)
  is_stand_in=$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$name" 2>/dev/null || echo yes)
  if [ -z "$is_stand_in" ]; then
    echo "real-images: $name is not one of ours; left as it is"
    return
  fi
  printf 'FROM %s\nENV LINE=%s\nLABEL %s=yes\nCMD ["start", "%s"]\n' "$base" "$line" "$label" "$start" |
    docker build -q -t "$name" - >/dev/null
  echo "real-images: made $name"
}

make_confluent() { # STACK LINE KAFKA CONTROL_CENTER OSQDEMO
  local stack=$1 line=$2 kafka=osqdemo-test/kafka:$3 ours=osqdemo-test/ours service
  make_kafka "$3"
  make_ours "$5"
  for service in cp-server cp-server-connect; do
    make_image "$stack" "confluentinc/$service" "$kafka" "$line" "$service"
  done
  for service in cp-schema-registry cp-ksqldb-server; do
    make_image "$stack" "confluentinc/$service" "$ours" "$line" "$service"
  done
  make_image "$stack" "confluentinc/$4" "$ours" "$line" control-center
}

case ${1:-} in
  kafka)
    version=$(sed -n 's|^ *image: apache/kafka:||p' compose/kafka.yaml | head -n 1)
    make_kafka "$version"
    make_image kafka apache/kafka "osqdemo-test/kafka:$version" apache apache-kafka
    ;;
  confluent)
    make_confluent confluent 7 "$kafka_of_7" cp-enterprise-control-center "$osqdemo"
    make_image confluent confluentinc/cp-zookeeper "osqdemo-test/kafka:$kafka_of_7" 7 cp-zookeeper
    ;;
  confluent-8)
    make_confluent confluent-8 8 "$kafka_of_8" cp-enterprise-control-center-next-gen "$osqdemo"
    make_monitoring
    for service in cp-enterprise-prometheus cp-enterprise-alertmanager; do
      make_image confluent-8 "confluentinc/$service" osqdemo-test/monitoring 8 "$service"
    done
    ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
