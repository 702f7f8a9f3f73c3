#!/usr/bin/env bash
# Makes sure that a Docker engine answers, and that there is a docker-compose to check the stack files with, for the
# tests of the Docker engine (Debian and its like, as root): installs Debian's docker.io and docker-compose where they
# are missing, starts the daemon and waits until it answers. Where an engine answers already it is left alone. The daemon
# goes on after this script; its log is $log, its process id stands in $pidfile.
set -euo pipefail

log=/var/log/osqdemo-dockerd.log
pidfile=/run/docker.pid
seconds=60

answers() { docker version >/dev/null 2>&1; }

missing=()
answers || command -v dockerd >/dev/null || missing+=(docker.io iptables)
command -v docker-compose >/dev/null || missing+=(docker-compose)
if answers && [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  answers || echo "docker-engine: no Docker engine answers" >&2
  echo "hint: run this script as root on Debian or its like, or bring an engine and docker-compose yourself" >&2
  exit 1
fi
if [ ${#missing[@]} -gt 0 ]; then
  echo "docker-engine: installing ${missing[*]}"
  apt-get update -qq
  # A package must not start its services here: where there is no init system they would fail, where there is one
  # they would race the start below.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
if answers; then
  exit 0
fi
# Whether the process of a pid file runs that program. One that was killed and not yet waited for has no program any more.
runs() { [ "$(basename "$(readlink "/proc/$(cat "$1" 2>/dev/null)/exe" 2>/dev/null)")" = "$2" ]; }

# A daemon that was killed leaves its process id behind, and so does its containerd; both would be taken for running.
containerd_pidfile=/run/docker/containerd/containerd.pid
runs "$pidfile" dockerd || rm -f "$pidfile"
runs "$containerd_pidfile" containerd || rm -f "$containerd_pidfile"
if [ ! -e "$pidfile" ]; then
  echo "docker-engine: starting dockerd"
  nohup setsid dockerd --pidfile "$pidfile" >"$log" 2>&1 </dev/null &
fi
for _ in $(seq "$((seconds * 5))"); do
  if answers; then
    echo "docker-engine: $(docker version --format '{{.Server.Version}}') answers"
    exit 0
  fi
  sleep 0.2
done
echo "docker-engine: dockerd does not answer after $seconds s; the end of $log:" >&2
tail -n 20 "$log" >&2
exit 1
