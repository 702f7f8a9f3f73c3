#!/usr/bin/env bash
# kcat, which is librdkafka in C, of the distribution: `kcat.sh BOOTSTRAP CHECKS.TXT`. KCAT is the program.
# It has no administration: its topics are made by asking for them.
set -uo pipefail
broker=$1 list=$2
kcat=${KCAT:-kcat}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

version=$("$kcat" -V | sed -n 's/^Version \([0-9.]*\) .*librdkafka \([0-9.]*\) .*/\1 (librdkafka \2)/p')
printf 'client\tkcat\t%s\n' "$version"

quiet() { timeout 60 "$kcat" -q -b "$broker" "$@" 2>>"$folder/errors"; }
new_topic() {
  topic=topic-$RANDOM$RANDOM
  # Asked for, it is made; then it is looked at until it is there.
  local end=$((SECONDS + 40))
  until quiet -L -t "$topic" | grep -q 'partition 0'; do ((SECONDS < end)) || return 1; done
}
produce() { quiet -P -t "$topic" -p 0 "$@"; }
read_all() { quiet -C -t "$topic" -p 0 -e "$@"; }
same() {
  [ "$1" = "$2" ] && return
  echo "$(head -c 80 <<<"$1") instead of $(head -c 80 <<<"$2")" >>"$folder/errors"
  return 1
}
sends() {
  new_topic && values=$(seq -f 'value %g value value value' 200) && produce "$@" <<<"$values" &&
    same "$(read_all -o beginning)" "$values"
}
consumes() {
  new_topic && produce <<<"$(seq 0 9)" || return
  case $1 in
    start) same "$(read_all -o beginning)" "$(seq 0 9)" ;;
    end) produce <<<later && same "$(read_all -o -1)" later ;;
    offset) same "$(read_all -o 7)" "$(seq 7 9)" ;;
    time)
      local time=$(($(date +%s%3N) + 1))
      until [ "$(date +%s%3N)" -gt "$time" ]; do :; done
      produce <<<later && same "$(read_all -o "s@$time")" later
      ;;
  esac
}
# The first ends after three records, committed; the second goes on behind them.
goes_on() {
  new_topic && produce <<<"$(seq 0 5)" || return
  local group=group-$RANDOM$RANDOM
  settings=(-X auto.offset.reset=earliest -X session.timeout.ms=10000 -c 3 -G "$group" "$topic")
  same "$(quiet "${settings[@]}")" "$(seq 0 2)" && same "$(quiet "${settings[@]}")" "$(seq 3 5)"
}

status=0
while IFS=$'\t' read -r name _; do
  : >"$folder/errors"
  began=$(date +%s%3N)
  case $name in
    'produce '*) sends -z "${name#produce }" ;;
    'idempotent producer') sends -X enable.idempotence=true ;;
    'consume from '*) consumes "${name##* }" ;;
    'commit and go on') goes_on ;;
    *)
      reason='transactions, members and assignors are asked of librdkafka through its Python client'
      [[ $name != admin* ]] || reason='kcat has no administration'
      printf '%s\tabsent\t%s\n' "$name" "$reason"
      continue
      ;;
  esac
  # shellcheck disable=SC2181
  if [ $? -eq 0 ]; then
    printf '%s\tok\t%s ms\n' "$name" $(($(date +%s%3N) - began))
  else
    status=1
    printf '%s\tfailed\t%s\n' "$name" "$(tr '\n\t' '  ' <"$folder/errors" | head -c 300)"
  fi
done <"$list"
exit "$status"
