#!/usr/bin/env bash
# Makes the Debian base image `debian:bookworm-slim` of the host and service images with debootstrap, for
# machines that cannot pull it. Does nothing where the image is there already.
set -euo pipefail

image=debian:bookworm-slim
if docker image inspect "$image" >/dev/null 2>&1; then
  exit 0
fi
if ! command -v debootstrap >/dev/null; then
  echo "base-image: installing debootstrap"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
fi
# debootstrap needs a file system that allows devices and set-uid programs; /var/tmp does where /tmp may not.
root=$(mktemp -d /var/tmp/osqdemo-base.XXXXXX)
trap 'rm -rf "$root"' EXIT
echo "base-image: making $image with debootstrap (about a minute)"
debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
# mktemp's folder becomes `/`, which users other than root must get through too.
chmod 755 "$root"
rm -rf "$root.log" "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
tar --numeric-owner -C "$root" -c . | docker import --change 'CMD ["bash"]' - "$image" >/dev/null
echo "base-image: made $image"
