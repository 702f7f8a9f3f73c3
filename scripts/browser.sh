#!/usr/bin/env bash
# Installs Debian's Chromium and its driver, for the tests that look at the console in a real browser (Debian and its
# like, as root). Does nothing where they are there already.
set -euo pipefail

if command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "browser: no Chromium with its driver; the tests that need one are skipped" >&2
  echo "hint: sudo apt-get install chromium chromium-driver" >&2
  exit 1
fi
echo "browser: installing chromium and chromium-driver"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver fonts-dejavu-core
