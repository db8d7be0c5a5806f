#!/bin/sh
# Undoes a change that was not confirmed in time, started before the first write of the change, in a unit of its own. And
# brings back at boot what was confirmed last: there is one way to what a server held, and this is it.
#
# 1. Needs sh, cat, grep, sleep, kill, iptables, ipset, tc and ip; timeout, where there is one. No Node, no network, no free disk: every file it writes is
#    there already and is overwritten in place, byte for byte as long.
# 2. At the deadline (of the clock that nobody can set) it ends the agent and every process the agent started, and waits
#    until they are gone: a stopped child that resumes would do the bad change again.
# 3. Every step may be done twice, and from any half of the change: the steps say what shall be, not what to alter.
# 4. Sets first, then rules (each table and family in one commit), then tc, then what only the change had brought.
#
# undo.sh watch DIR   waits for the deadline, the confirmation, or the agent's order
# undo.sh now DIR     undoes at once (the watching one is gone)
# undo.sh boot DIR    fills the kernel from DIR, the folder of what is confirmed, beside the one of a change (../undo)
# undo.sh device DIR NAME   the same for one device that has appeared
#
# DIR/orders     due time in hundredths of a second since boot, and `kill` or `spare` (the agent's own order)
# DIR/outcome    `pending`, then `reverted`, or `partial` where something would not go back
# DIR/confirmed  there: nothing is to be undone
# DIR/log        complaints, where no service manager keeps them
# DIR/next       what a change leads to, as `boot` takes it
# DIR/agent      pid, start time, and the mark in the environment of its children
#
# Never append to a rule set, never restore from a dump of one, never touch what is not listed in DIR.
PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
export PATH
LC_ALL=C
export LC_ALL
umask 077
mode=$1
dir=$2
cd -P "$dir" || exit 1
failed=0

say() {
  echo "sluice undo: $*" >&2
}

now() {
  read -r up rest </proc/uptime
  echo "${up%.*}${up#*.}"
}

# overwrite FILE TEXT: in place, so that a full disk can't refuse
overwrite() {
  printf '%s\n' "$2" 1<>"$1"
}

nap() {
  sleep "$1" 2>/dev/null || sleep 1
}

# start_time PID: empty when it is gone; a zombie is gone
start_time() {
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  set -- ${stat##*) }
  [ "$1" = Z ] || echo "${20}"
}

# Kills the agent and all that bears its mark; true when nothing of it is left.
sweep() {
  left=0
  if [ "$(start_time "$agent")" = "$started" ]; then
    kill -9 "$agent" 2>/dev/null
    left=1
  fi
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/}
    [ "$pid" = "$$" ] && continue
    case "$(cat "$entry/environ" 2>/dev/null)" in
    *"SLUICE_AGENT_RUN=$mark"*)
      [ -n "$(start_time "$pid")" ] || continue
      kill -9 "$pid" 2>/dev/null
      left=1
      ;;
    esac
  done
  [ $left = 0 ]
}

end_agent() {
  read -r agent started mark <agent
  tries=0
  until sweep; do
    tries=$((tries + 1))
    [ $tries -gt 100 ] && say "the agent could not be ended" && break
    nap 0.1
  done
}

# tool COMMAND…: one that hangs is ended, so that it holds up nothing but its own part
limit=
timeout -k 1 1 true 2>/dev/null && limit='timeout -k 1'
patience=20
hung=0
tool() {
  if [ -z "$limit" ]; then
    command "$@"
    return
  fi
  code=0
  $limit $patience "$@" || code=$?
  case $code in 124 | 137) say "$1 hangs" ;; esac
  return $code
}

ipset() { patience=120 tool ipset "$@"; } # a million entries take a while
tc() { tool tc "$@"; }
ip() { tool ip "$@"; }

# attempt WHAT COMMAND…: says when it fails, and goes on
attempt() {
  what=$1
  shift
  said=$("$@" 2>&1) && return 0
  say "$what: $said"
  failed=1
  case $said in *" hangs"*) hung=1 ;; esac
  return 1
}

restore_sets() {
  while read -r name words; do
    [ -n "$name" ] || continue
    ipset -q -terse list "$name" >/dev/null 2>&1 || attempt "set $name" ipset -exist create "$name" $words
  done <sets.create
  attempt "sets" load_sets
}

# Members with a lifetime were put there by rules, not by a manifest: a set that is loaded anew keeps them. One that finds
# no room is no reason to fail.
load_sets() {
  kept=$(expiring)
  ipset -exist restore <sets.restore || return 1
  [ -z "$kept" ] || printf '%s\n' "$kept" | ipset -exist restore 2>/dev/null || :
}

expiring() {
  while read -r verb aside name; do
    [ "$verb" = swap ] || continue
    ipset -q save "$name" | while read -r verb set member; do
      case "$verb $member " in
      *" timeout 0 "*) ;;
      "add "*" timeout "*) echo "add $set $member" ;;
      esac
    done
  done <sets.restore
}

restore_tables() {
  while read -r command file; do
    [ -n "$command" ] || continue
    attempt "$file" feed "$command" "$file"
  done <tables
}

feed() {
  tool "$1" --noflush -w 5 <"$2"
}

# restore_foreign LIST: each file whole or not at all, so one mark of it that stands says that all of it does.
restore_foreign() {
  while read -r restore command table when file; do
    [ -n "$restore" ] || continue
    stands=gone
    tool "$command" -w 5 -t "$table" -S 2>/dev/null | grep -F -x -q -f "$file.marks" && stands=stands
    [ "$stands" != "$when" ] || attempt "$file" feed "$restore" "$file"
  done <"$1"
}

restore_hooks() {
  while read -r command table hook chain at other; do
    [ -n "$command" ] || continue
    # another tool's chain may be gone by now
    [ -z "$other" ] || tool "$command" -w 5 -t "$table" -n -L "$hook" >/dev/null 2>&1 || hook=$other
    tool "$command" -w 5 -t "$table" -C "$hook" -j "$chain" 2>/dev/null && continue
    case $at in
    head) attempt "$hook" tool "$command" -w 5 -t "$table" -I "$hook" 1 -j "$chain" ;;
    *) attempt "$hook" tool "$command" -w 5 -t "$table" -A "$hook" -j "$chain" ;;
    esac
  done <hooks.keep
  while read -r command table hook chain at other; do
    [ -n "$command" ] || continue
    for place in $hook $other; do
      tries=0
      while [ $tries -lt 20 ] && tool "$command" -w 5 -t "$table" -D "$place" -j "$chain" 2>/dev/null; do
        tries=$((tries + 1))
      done
    done
  done <hooks.drop
}

restore_tc() {
  while read -r device at; do
    [ -n "$device" ] || continue
    tc qdisc del dev "$device" "$at" 2>/dev/null
  done <tc.drop
  while read -r ifb; do
    [ -n "$ifb" ] || continue
    ip link del "$ifb" type ifb 2>/dev/null
  done <ifb.drop
  while read -r device ifb; do
    [ -n "$device" ] || continue
    build_device "$device" "$ifb"
  done <devices
}

# One that is gone took its tree with it.
build_device() {
  ip link show "$1" >/dev/null 2>&1 || return 0
  if [ -n "$2" ]; then
    ip link show "$2" >/dev/null 2>&1 || attempt "$2" ip link add "$2" type ifb
    attempt "$2" ip link set "$2" up
  fi
  attempt "tc $1" tc -batch "tc.$1"
}

drop_chains() {
  while read -r command table chain; do
    [ -n "$command" ] || continue
    tool "$command" -w 5 -t "$table" -n -L "$chain" >/dev/null 2>&1 || continue
    attempt "chain $chain" tool "$command" -w 5 -t "$table" -X "$chain"
  done <chains.drop
}

drop_sets() {
  while read -r name; do
    [ -n "$name" ] || continue
    ipset -q -terse list "$name" >/dev/null 2>&1 || continue
    attempt "set $name" ipset destroy "$name"
  done <sets.drop
}

restore() {
  restore_sets
  restore_foreign foreign.first
  restore_tables
  restore_hooks
  restore_foreign foreign
  restore_tc
  drop_chains
  drop_sets
}

# patiently COMMAND…: others may hold a lock or a name for a moment
patiently() {
  rounds=0
  while :; do
    failed=0
    "$@"
    [ $failed = 0 ] && break
    rounds=$((rounds + 1))
    # what hung once isn't waited for again
    [ $rounds -ge 10 ] || [ $hung = 1 ] && break
    nap 0.3
  done
}

undo() {
  patiently restore
  if [ $failed = 0 ]; then overwrite outcome "reverted"; else overwrite outcome "partial "; fi
}

watch() {
  overwrite runner "$(printf '%-39s' "$$ $(start_time $$)")"
  while :; do
    [ -e confirmed ] && exit 0
    [ -e orders ] || exit 0
    read -r due how <orders
    case $due in
    *[!0-9]* | '') due=$last ;;
    esac
    last=$due
    # a leading 1 keeps the zeros in front from being read as octal
    [ "1$due" -le "$(printf '1%015d' "$(now)")" ] && break
    nap 0.1
  done
  if [ "$how" != spare ]; then
    end_agent
    # with the agent gone nobody can confirm any more, so what is seen now is final
    [ -e confirmed ] && exit 0
    say "the change was not confirmed by its deadline"
  fi
  undo
}

# A pause says that nothing is to be applied, so nothing is. Its end is by the wall clock: this is another boot.
is_paused() {
  until=$(sed -n 's/.*\\"until\\":\\"\([^\\]*\)\\".*/\1/p' ../paused.json 2>/dev/null)
  [ -n "$until" ] && expr "$until" \> "$(date -u +%Y-%m-%dT%H:%M:%S)" >/dev/null
}

# A change that was confirmed, and whose folder had not taken its place yet.
enter_newest() {
  if [ -e ../undo/confirmed ] && [ -e ../undo/next/devices ]; then cd ../undo/next || exit 1; fi
}

# Whoever runs keeps it all by itself, and may be in the middle of a change.
leave_to_agent() {
  [ -e ../lock ] && read -r agent started <../lock || return 0
  [ "$(start_time "$agent")" = "${started:-none}" ] && say "an agent runs (pid $agent): left to it" && exit 0
}

boot() {
  leave_to_agent
  is_paused && say "paused until $until: nothing is filled" && exit 0
  enter_newest
  patiently restore
  exit $failed
}

# Built from bare, so its qdiscs of before go: a device that was renamed brings them along.
restore_device() {
  while read -r device at; do
    [ "$device" = "$1" ] && tc qdisc del dev "$device" "$at" 2>/dev/null
  done <tc.drop
  while read -r device ifb; do
    [ "$device" = "$1" ] && build_device "$device" "$ifb"
  done <devices
}

device() {
  leave_to_agent
  is_paused && exit 0
  enter_newest
  patiently restore_device "$1"
  exit $failed
}

case $mode in
boot) boot ;;
device) device "$3" ;;
watch) last=999999999999999 && watch ;;
now) undo ;;
*) say "usage: undo.sh watch|now|boot DIR, undo.sh device DIR NAME" && exit 2 ;;
esac
