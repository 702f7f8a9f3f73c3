#!/usr/bin/env bash
# Runs every test to the end, also after a failure, and says last which ones failed. With cargo-nextest where that is
# installed (see .config/nextest.toml), else with cargo test in two lanes of about the same length side by side: the tests
# of the crates and then those that are about containers, and the other end-to-end tests. Both mostly wait.
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

# The names of the integration tests in the folders given: a file is one, and a folder with a main.rs.
integration_tests() {
  find "$@" -mindepth 1 -maxdepth 1 -name '*.rs' -printf '%f\n' | sed 's/\.rs$//'
  find "$@" -mindepth 2 -maxdepth 2 -name main.rs -printf '%h\n' | sed 's/.*\///'
}

# Both lanes select the whole workspace and differ in its targets alone, so that nothing is built twice. A name that
# stands in both belongs to the first: cargo runs all targets of a name.
of_the_program=$(integration_tests tests | sort -u)
in_crates=$(integration_tests kafka-bootstrap/tests formats/*/tests hosts/*/tests platform/*/tests | sort -u | comm -23 - <(echo "$of_the_program"))
with_containers=$(grep -E '^(docker|podman|images)_' <<<"$of_the_program")
end_to_end=$(comm -23 <(echo "$of_the_program") <(echo "$with_containers"))
as_options() { sed 's/^/--test=/' <<<"$1"; }

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
"$cargo" test --workspace --no-run 2>&1 | tee "$logs/build"
result=$?
if [ "$result" -eq 0 ]; then
  # shellcheck disable=SC2046 # a name has no blanks
  {
    "$cargo" test --workspace --no-fail-fast --lib --bins --examples $(as_options "$in_crates")
    crates=$?
    "$cargo" test --workspace --no-fail-fast $(as_options "$with_containers")
    crates=$((crates | $?))
    "$cargo" test --workspace --no-fail-fast --doc
    exit $((crates | $?))
  } >"$logs/crates" 2>&1 &
  crates=$!
  # shellcheck disable=SC2046
  "$cargo" test --workspace --no-fail-fast $(as_options "$end_to_end") 2>&1 | tee "$logs/end_to_end" || result=1
  wait "$crates" || result=1
  cat "$logs/crates"
fi

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
  ' "$logs"/*
fi
exit "$result"
