#!/usr/bin/env bash
# Checks for what a build and a run need, and installs what is missing where it can (Debian, as root).
# Needed: a Rust toolchain, a C compiler with make (librdkafka and SQLite are compiled from source),
# and util-linux (unshare, nsenter) for the hosts' own namespaces. `setup.sh test` checks for what the tests need, too:
# gpg, which signs the repository of the Docker engine's tests.
set -euo pipefail

# The oldest Rust the project is built and tested with.
rust_wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")

if ! command -v cargo >/dev/null; then
  echo "setup: no Rust toolchain found" >&2
  echo "hint: install Rust $rust_wanted or newer with rustup, then run this again" >&2
  exit 1
fi
rust_found=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n' "$rust_wanted" "${rust_found%%-*}" | sort -V | head -n 1)" != "$rust_wanted" ]; then
  echo "setup: Rust $rust_found is too old, $rust_wanted or newer is needed" >&2
  echo "hint: rustup update stable" >&2
  exit 1
fi

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v c++ >/dev/null || missing+=(g++)
command -v unshare >/dev/null || missing+=(util-linux)
if [ "${1:-}" = test ]; then
  command -v gpg >/dev/null || missing+=(gnupg)
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "setup: installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
else
  echo "setup: missing packages: ${missing[*]}" >&2
  echo "hint: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
