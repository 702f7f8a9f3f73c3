#!/usr/bin/env bash
# Makes images under the names that the stacks pin, for machines that cannot pull them, out of the real programs: Apache
# Kafka of Maven Central, Debian's Java and our Debian base. What starts them applies the rules by which the images of
# these names turn their environment into properties. For tests: images of these names that somebody pulled are left
# alone.
#
#   real-images.sh kafka        apache/kafka, for stack `kafka`
set -euo pipefail
cd "$(dirname "$0")/.."

label=io.osqdemo.stand-in
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

make_base() { # KAFKA_VERSION
  scripts/base-image.sh
  scripts/kafka.sh fetch "$1"
  cp -r "target/test-tools/kafka-$1/libs" "target/test-tools/kafka-$1/log4j2.properties" tests/fixtures/real-images/start \
    "$context"
  cat >"$context/Dockerfile" <<'DOCKERFILE'
FROM debian:bookworm-slim
# The base image has no folder for manual pages, and Java's package wants one.
RUN install -d /usr/share/man/man1 \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd -u 1000 appuser \
 && install -d -o appuser /opt/kafka/config /var/lib/kafka/data
COPY libs /opt/kafka/libs
COPY log4j2.properties /opt/kafka/config/
COPY start /usr/local/bin/start
USER appuser
DOCKERFILE
  docker build -q -t "osqdemo-test/kafka:$1" "$context" >/dev/null
}

make_image() { # NAME KAFKA_VERSION
  local name=$1 base=osqdemo-test/kafka:$2 is_stand_in
  is_stand_in=$(docker image inspect -f "{{index .Config.Labels \"$label\"}}" "$name" 2>/dev/null || echo yes)
  if [ -z "$is_stand_in" ]; then
    echo "real-images: $name is not one of ours; left as it is"
    return
  fi
  printf 'FROM %s\nLABEL %s=yes\nCMD ["start"]\n' "$base" "$label" | docker build -q -t "$name" - >/dev/null
  echo "real-images: made $name"
}

# The first image of that name in a stack file.
pinned() { # FILE NAME
  sed -n "s|^ *image: \($2:.*\)|\1|p" "$1" | head -n 1
}

case ${1:-} in
  kafka)
    name=$(pinned compose/kafka.yaml apache/kafka)
    make_base "${name##*:}"
    make_image "$name" "${name##*:}"
    ;;
  *)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
