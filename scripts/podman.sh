#!/usr/bin/env bash
# Installs podman and what it needs to run the stack, for the tests of the Docker engine on podman (Debian and its like,
# as root). Does nothing where podman is there already.
set -euo pipefail

if command -v podman >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "podman: not installed" >&2
  echo "hint: sudo apt-get install podman netavark aardvark-dns catatonit" >&2
  exit 1
fi
echo "podman: installing"
apt-get update -qq
# Names of containers are resolved by aardvark-dns, and their first process is catatonit.
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  podman netavark aardvark-dns catatonit runc
