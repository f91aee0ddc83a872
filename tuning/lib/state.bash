# What was before: written down and on disk before anything is changed.
#
# The state directory holds a journal for each network namespace, `net-NUMBER`, and one for what belongs to the whole
# machine, `machine`. A journal is made in one piece, synced and then put in place, so it is there as a whole or not at
# all. Its lines, fields parted by tabs:
#
#   redpkt-tune 1 ID
#   profile NAME / since TIME / boot ID / netns NUMBER / iface NAME INDEX
#   set IFACE|- DRIVER TARGET LABEL WAS WANTED      one change; given back from last to first
#   is TARGET VALUE                                 what the kernel made of WANTED, if not that

readonly JOURNAL_HEAD='redpkt-tune 1'
readonly LOCK_TIMEOUT_S=20
STATE_DIR=${REDPKT_TUNE_STATE:-/run/redpkt-tune}

# What read_journal found.
declare -A J_HEAD=()
declare -a J_LINES=() J_SETS=()
declare -A J_IS=()

# open_state: makes the directory if need be, and keeps every other tune away until this one ends. What it starts
# inherits the lock: after a kill in the middle of a change the next one waits until that change is made.
open_state() {
  local mode
  if ! (umask 077 && mkdir -p -- "$STATE_DIR") 2>/dev/null; then
    fail 3 "making the state directory $STATE_DIR: not permitted; run it as root, or set REDPKT_TUNE_STATE to another place"
  fi
  mode=$(stat -L -c %a -- "$STATE_DIR")
  if [[ ! -O $STATE_DIR ]]; then
    fail 3 "the state directory $STATE_DIR: it is $(stat -L -c %U -- "$STATE_DIR")'s; run it as that user, or set REDPKT_TUNE_STATE to another place"
  fi
  if ((8#$mode & 8#077)); then
    fail 3 "the state directory $STATE_DIR: others may write or read it (mode $mode); it must be yours alone: chmod 700"
  fi
  if ! { exec {LOCK_FD}>>"$STATE_DIR/lock"; } 2>/dev/null; then
    fail 3 "opening $STATE_DIR/lock: not permitted; run it as the user who owns it"
  fi
  if ! flock -w "$LOCK_TIMEOUT_S" "$LOCK_FD"; then
    fail 3 "another tune has been at work for $LOCK_TIMEOUT_S s ($STATE_DIR/lock): wait for it, or end it"
  fi
}

close_state() {
  if [[ ${LOCK_FD:-} ]]; then exec {LOCK_FD}>&-; fi
  LOCK_FD=
}

journal_of_namespace() { JOURNAL=$STATE_DIR/net-$NETNS; }
journal_of_machine() { JOURNAL=$STATE_DIR/machine; }

# read_journal: JOURNAL into J_*. Fails if there is none, or if it is of an earlier boot and says nothing any more.
read_journal() {
  local line kind rest
  J_HEAD=() J_LINES=() J_SETS=() J_IS=()
  if [[ ! -e $JOURNAL ]]; then return 1; fi
  mapfile -t J_LINES <"$JOURNAL"
  if [[ ${J_LINES[0]:-} != "$JOURNAL_HEAD "* ]]; then
    fail 3 "reading $JOURNAL: it is not a journal that this tune understands; use the one that wrote it, or remove it by hand"
  fi
  J_HEAD[id]=${J_LINES[0]#"$JOURNAL_HEAD "}
  for line in "${J_LINES[@]:1}"; do
    IFS=$'\t' read -r kind rest <<<"$line"
    case $kind in
      set) J_SETS+=("$rest") ;;
      is) J_IS[${rest%%$'\t'*}]=${rest#*$'\t'} ;;
      profile | since | boot | netns | iface) J_HEAD[$kind]=$rest ;;
    esac
  done
  if [[ ${J_HEAD[boot]:-} != "$(</proc/sys/kernel/random/boot_id)" ]]; then
    note "forgotten: ${J_HEAD[profile]} was applied at ${J_HEAD[since]}, before the machine was started again, which undid it"
    rm -f -- "$JOURNAL"
    return 1
  fi
}

# put_journal LINE...: in one piece, on disk when it returns.
put_journal() {
  local new=$JOURNAL.new
  if ! { printf '%s\n' "$@" >"$new" && sync -- "$new" && mv -f -- "$new" "$JOURNAL" && sync -- "$STATE_DIR"; } 2>/dev/null; then
    fail 3 "writing $JOURNAL: not done, so nothing is changed; make room there, or set REDPKT_TUNE_STATE to another place"
  fi
}

drop_journal() {
  rm -f -- "$JOURNAL"
  sync -- "$STATE_DIR"
}

# write_down AT...: a journal of these entries of the plan.
write_down() {
  local at since
  local -a lines=("$JOURNAL_HEAD $RUN_ID")
  TZ=UTC printf -v since '%(%Y-%m-%dT%H:%M:%SZ)T' -1
  lines+=("profile"$'\t'"$PROFILE" "since"$'\t'"$since" "boot"$'\t'"$(</proc/sys/kernel/random/boot_id)" "netns"$'\t'"$NETNS")
  if [[ $IFACE ]]; then lines+=("iface"$'\t'"$IFACE $IFACE_INDEX"); fi
  for at in "$@"; do
    printf -v "lines[${#lines[@]}]" 'set\t%s\t%s\t%s\t%s\t%s\t%s' "${O_IFACE[at]}" "${O_DRIVER[at]}" "${O_TARGET[at]}" \
      "${O_LABEL[at]}" "${O_NOW[at]}" "${O_WANT[at]}"
  done
  put_journal "${lines[@]}"
}

# write_is TARGET VALUE: what the kernel made of a value, so that nobody is blamed for it.
write_is() {
  printf 'is\t%s\t%s\n' "$1" "$2" >>"$JOURNAL"
}
