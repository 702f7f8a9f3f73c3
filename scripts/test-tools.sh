#!/usr/bin/env bash
# Gets what the tests of pulls need and this machine lacks: Debian's docker-registry, unpacked into target/ (installed,
# its service would start), and strace. Where that cannot be, it says so; the tests then skip, or fail in CI.
set -uo pipefail
cd "$(dirname "$0")/.."

unable() {
  echo "test-tools: $1 cannot be had here; the tests that need it are skipped" >&2
}

# Package lists may be old; only root can renew them.
with_lists() {
  "$@" && return
  [ "$(id -u)" -eq 0 ] && apt-get update -qq && "$@"
}

unpack_registry() {
  local folder
  folder=$(mktemp -d)
  (cd "$folder" && with_lists apt-get download -qq -o APT::Sandbox::User=root docker-registry) &&
    dpkg -x "$folder"/docker-registry_*.deb "$folder/unpacked" &&
    install -D "$folder/unpacked/usr/bin/docker-registry" target/test-tools/docker-registry
  local result=$?
  rm -rf "$folder"
  return $result
}

install_strace() {
  [ "$(id -u)" -eq 0 ] &&
    with_lists env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends strace
}

if ! command -v docker-registry >/dev/null && [ ! -x target/test-tools/docker-registry ]; then
  echo "test-tools: unpacking docker-registry"
  unpack_registry || unable docker-registry
fi
if ! command -v strace >/dev/null; then
  echo "test-tools: installing strace"
  install_strace || unable strace
fi
