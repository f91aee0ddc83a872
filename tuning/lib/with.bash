# with: applies a profile, runs a command, and reverts however the command ends.

readonly END_TIMEOUT_S=10 BEGIN_TIMEOUT_MS=1000

# with_profile PROFILE COMMAND [ARGUMENT...]: ends with the command's exit code.
with_profile() {
  local code=0 at
  if ! type -P -- "$2" >/dev/null; then fail 2 "with $1: there is no command $2; nothing was changed"; fi
  CHILD='' SIGNALLED=''
  # From here on, whatever ends this script reverts first.
  trap 'end_with $?' EXIT
  trap 'pass_on INT' INT
  trap 'pass_on TERM' TERM
  trap 'pass_on HUP' HUP
  apply_profile "$1" >&2
  close_state
  (
    # An asynchronous command would ignore an interrupt otherwise.
    trap - INT QUIT TERM HUP EXIT
    for at in "${!P_KIND[@]}"; do
      if [[ ${P_KIND[at]} == limit ]]; then raise_limit "${P_KEY[at]}" "${P_VALUE[at]}"; fi
    done
    if [[ $LOCALE ]]; then LC_ALL=$LOCALE; else unset LC_ALL; fi
    exec "${@:2}"
  ) <&0 &
  CHILD=$!
  wait_for_child || code=$?
  exit "$code"
}

# wait_for_child: its exit code. Once a signal came, it waits only so long.
wait_for_child() {
  local code=0 tenths=0
  # A signal that came already would not interrupt it.
  if [[ ! $SIGNALLED ]]; then wait "$CHILD" || code=$?; fi
  while [[ $SIGNALLED ]] && kill -0 "$CHILD" 2>/dev/null; do
    if [[ $SIGNALLED == twice ]] || ((++tenths > END_TIMEOUT_S * 10)); then
      note "process $CHILD goes on without the profile"
      return "$SIGNAL_CODE"
    fi
    sleep 0.1 || true
  done
  # The wait was interrupted or left out: this tells how the command really ended.
  if [[ $SIGNALLED ]]; then
    code=0
    wait "$CHILD" || code=$?
  fi
  return "$code"
}

# pass_on SIGNAL: to the command, unless a terminal has sent it to both. Before there is a command, this script ends.
pass_on() {
  # It can run before CHILD is set. Nothing else runs in the background.
  local child=${CHILD:-${!:-}}
  local -a fields
  local tries
  # A bare `return` would hand on the status of what the signal interrupted, and `set -e` end the script.
  if [[ $SIGNALLED ]]; then
    SIGNALLED=twice
    return 0
  fi
  SIGNAL_CODE=$((128 + $(kill -l "$1")))
  if [[ ! $child ]]; then exit "$SIGNAL_CODE"; fi
  SIGNALLED=once
  # Behind the name, which may hold blanks: state, parent, process group, session, terminal, its foreground group.
  read -r -a fields <<<"$(sed 's/.*) //' "/proc/$$/stat")"
  if [[ $1 == INT && ${fields[2]} == "${fields[5]}" ]] && has_begun "$child"; then return 0; fi
  for ((tries = 0; tries < BEGIN_TIMEOUT_MS / 10; tries++)); do
    if has_begun "$child"; then break; fi
    sleep 0.01 || true
  done
  kill -s "$1" "$child" 2>/dev/null || true
}

# has_begun PID: whether it is the command, and no more the copy of this script that becomes it, on which a signal can be
# lost. What has ended has begun.
has_begun() {
  { [[ $(<"/proc/$1/cmdline") != "$(<"/proc/$$/cmdline")" ]]; } 2>/dev/null
}

# end_with CODE: reverts, and keeps the command's exit code; 3 if the command did well and the machine did not.
end_with() {
  local code=$1
  trap - EXIT
  # Giving back is not to be stopped halfway by a second interrupt.
  trap '' INT TERM HUP
  if [[ ! ${RUN_ID:-} ]]; then exit "$code"; fi
  close_state
  if ! (revert_run "$RUN_ID") >&2; then
    note "not all was given back; what is left is kept in $STATE_DIR: tune revert"
    if ((code == 0)); then code=3; fi
  fi
  exit "$code"
}
