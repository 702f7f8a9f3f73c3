#!/usr/bin/env bash
# Keeps what a project of this version leaves on disk in tests/fixtures/VERSION/lite.tar.gz: a stack `lite` after a
# scenario, taken down, with its topics, groups, command log, remembered settings and the agents' databases. Run it
# before a format on disk changes; tests/kept_data.rs then reads it for ever. The programs are those of target/release,
# or of the folder given as the first argument. A version that is kept already stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${1:-${CARGO_TARGET_DIR:-target}/release}
version=$("$programs/osqdemo" --version | cut -d' ' -f2)
kept=tests/fixtures/$version/lite.tar.gz
if [ -e "$kept" ]; then
  echo "keep-data: $kept is there already"
  exit 0
fi
OSQDEMO_HOME=$(mktemp -d /tmp/osqdemo-keep.XXXXXX)
export OSQDEMO_HOME
finish() {
  "$programs/osqdemo" --quiet down --volumes || true
  rm -rf "$OSQDEMO_HOME"
}
trap finish EXIT
# Only what is the hosts' own goes into the repository: no sockets, users or neighbours of this machine.
cat >"$OSQDEMO_HOME/own.json" <<'END'
{
  "config": { "bootstrap.servers": "broker:29092" },
  "source": {
    "schedule": {
      "processes": { "query": "select * from processes;", "interval": 1, "key": "['hostIdentifier']" },
      "open_files": { "query": "select * from process_open_files;", "interval": 1, "key": "['hostIdentifier']" }
    }
  },
  "topic": "osquery-default-topic"
}
END
"$programs/osqdemo" --quiet up --osqueryd builtin --port broker=0 --port ksqldb-server=0 \
  --host-config "$OSQDEMO_HOME/own.json" >/dev/null
rm "$OSQDEMO_HOME/own.json"
"$programs/osqdemo" --quiet scenario bigfile --size 1M >/dev/null
"$programs/osqdemo" --quiet down
mkdir -p "$(dirname "$kept")"
# The extension lies in the project as a copy of the program; `up` puts it there anew.
tar --sort=name --numeric-owner --owner=0 --group=0 --exclude confluent.ext -C "$OSQDEMO_HOME" -c osqdemo |
  gzip -9n >"$kept.part"
size=$(stat -c %s "$kept.part")
if [ "$size" -ge $((2 << 20)) ]; then
  rm "$kept.part"
  echo "keep-data: $size bytes are too much for the repository" >&2
  exit 1
fi
mv "$kept.part" "$kept"
echo "keep-data: kept $kept, $size bytes"
