# with: applies a profile, runs a command, and reverts however the command ends.

readonly END_TIMEOUT_S=10

# with_profile PROFILE COMMAND [ARGUMENT...]: ends with the command's exit code.
with_profile() {
  local code=0 at
  if ! type -P -- "$2" >/dev/null; then fail 2 "with $1: there is no command $2; nothing was changed"; fi
  # From here on, whatever ends this script reverts first.
  trap 'end_with $?' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  apply_profile "$1" >&2
  close_state
  SIGNALLED=
  trap 'pass_on INT' INT
  trap 'pass_on TERM' TERM
  trap 'pass_on HUP' HUP
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
  wait "$CHILD" || code=$?
  while [[ $SIGNALLED ]] && kill -0 "$CHILD" 2>/dev/null; do
    if [[ $SIGNALLED == twice ]] || ((++tenths > END_TIMEOUT_S * 10)); then
      note "process $CHILD goes on without the profile"
      return "$code"
    fi
    sleep 0.1 || true
  done
  # If a signal interrupted the wait, this tells how the command really ended.
  if [[ $SIGNALLED ]]; then
    code=0
    wait "$CHILD" || code=$?
  fi
  return "$code"
}

# pass_on SIGNAL: to the command, unless a terminal has sent it to both.
pass_on() {
  local -a fields
  # A bare `return` would hand on the status of what the signal interrupted, and `set -e` end the script.
  if [[ $SIGNALLED ]]; then
    SIGNALLED=twice
    return 0
  fi
  SIGNALLED=once
  # Behind the name, which may hold blanks: state, parent, process group, session, terminal, its foreground group.
  read -r -a fields <<<"$(sed 's/.*) //' "/proc/$$/stat")"
  if [[ $1 == INT && ${fields[2]} == "${fields[5]}" ]]; then return 0; fi
  kill -s "$1" "$CHILD" 2>/dev/null || true
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
