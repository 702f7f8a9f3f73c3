#!/usr/bin/env bash
# Runs every test to the end, also after a failure, and says last which ones failed. With cargo-nextest where that is
# installed (see .config/nextest.toml), else with cargo test.
set -uo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}

if "$cargo" nextest --version >/dev/null 2>&1; then
  "$cargo" nextest run --workspace
  result=$?
  # nextest leaves the examples in the documentation out.
  "$cargo" test --workspace --doc || result=1
  exit "$result"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$cargo" test --workspace --no-fail-fast 2>&1 | tee "$log"
result=$?
if [ "$result" -ne 0 ]; then
  echo
  echo "What failed:"
  # A test, with the binary that it is in; a binary that ended without a word about its tests; what did not compile.
  awk '
    /^ +Running / { binary = $0; sub(/^ +Running /, "", binary); sub(/ \(.*/, "", binary) }
    /^ +Doc-tests / { binary = $0; sub(/^ +/, "", binary) }
    /^test .* \.\.\. FAILED$/ { sub(/^test /, ""); sub(/ \.\.\. FAILED$/, ""); print "  " binary ": " $0 }
    /^error: (could not compile|test failed|[0-9]+ targets? failed)/ { print "  " $0 }
    /^    `-p / { print "  " $0 }
  ' "$log"
fi
exit "$result"
