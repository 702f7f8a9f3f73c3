#!/bin/sh
# Runs every fuzz target for so many seconds (the first argument; 30 without one), or only those named after it.
# Ends at the first crash, whose input then lies in fuzz/artifacts/.
set -eu
seconds=${1:-30}
[ $# -eq 0 ] || shift
cd "$(dirname "$0")/.."

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz

# cargo-fuzz passes flags that only a nightly compiler takes; this lets a stable one take them. The product's own
# code has no `unsafe`, so the address sanitizer, which stable lacks the parts of, is left out.
export RUSTC_BOOTSTRAP=1
fuzz() { verb=$1; shift; cargo fuzz "$verb" --sanitizer none "$@"; }

# What the product is given itself is where the search begins.
seeds() {
    case $1 in
        ksql_syntax | ksql_variables | cli_statements) echo ksql ;;
        stack_file) echo compose ;;
        agent_configuration | extension_configuration) echo hosts/image ;;
    esac
    [ ! -d "fuzz/seeds/$1" ] || echo "fuzz/seeds/$1"
}

dictionary() {
    case $1 in
        ksql_* | cli_statements) echo -dict=fuzz/dictionaries/ksql.dict ;;
        thrift_*) echo -dict=fuzz/dictionaries/thrift.dict ;;
        agent_* | extension_* | cli_rows) echo -dict=fuzz/dictionaries/json.dict ;;
    esac
}

[ $# -gt 0 ] || set -- $(cargo fuzz list)
fuzz build
for target in "$@"; do
    echo "== $target"
    mkdir -p "fuzz/corpus/$target"
    # shellcheck disable=SC2046 # the words are meant to be split
    fuzz run "$target" "fuzz/corpus/$target" $(seeds "$target") -- $(dictionary "$target") \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1
done
