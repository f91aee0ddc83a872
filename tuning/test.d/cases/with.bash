# with: the command's exit code, and everything given back however it ends.

wire_with_has_the_exit_code_of_the_command() {
  remember --iface v0
  expect 0 "$TUNE" with million --iface v0 -- cat /proc/sys/net/ipv4/udp_rmem_min
  says $'\n16384\n'
  unchanged --iface v0
  expect 7 "$TUNE" with latency --iface v0 -- bash -c 'exit 7'
  unchanged --iface v0
  # shellcheck disable=SC2016 # the inner shell's own variables
  expect 137 "$TUNE" with latency --iface v0 -- bash -c 'kill -9 $$'
  unchanged --iface v0
  # shellcheck disable=SC2016 # the inner shell's own variables
  expect 143 "$TUNE" with latency --iface v0 -- bash -c 'kill $$'
  unchanged --iface v0
}

wire_with_passes_input_output_and_arguments_on() {
  # shellcheck disable=SC2016 # the inner shell's own variables
  OUT=$(printf 'in put' | "$TUNE" with laptop -- bash -c 'cat; printf "[%s]" "$@"' - 'a b' '' '*' 2>/dev/null)
  [[ $OUT == 'in put[a b][][*]' ]] || die "it got: $OUT"
  OUT=$(LC_ALL=C.UTF-8 "$TUNE" with laptop -- printenv LC_ALL 2>/dev/null)
  [[ $OUT == C.UTF-8 ]] || die "its locale: $OUT"
  OUT=$(env -u LC_ALL "$TUNE" with laptop -- printenv LC_ALL 2>/dev/null) || true
  [[ ! $OUT ]] || die "its locale: $OUT"
}

wire_with_has_limits() {
  profile 'limit nofile >= 300'
  # shellcheck disable=SC3045 # bash has it
  expect 0 bash -c 'ulimit -S -n 200; exec "$@"' - "$TUNE" with "$PROFILE_FILE" -- bash -c 'ulimit -n'
  says $'\n300'
  expect 0 bash -c 'ulimit -S -n 400; exec "$@"' - "$TUNE" with "$PROFILE_FILE" -- bash -c 'ulimit -n'
  says $'\n400'
}

# in_with SIGNAL COMMAND: sets CODE to how `with` ends that is sent a signal while it runs COMMAND.
in_with() {
  local pid
  rm -f "$CARD_DIR/runs"
  # A job of its own, as from a terminal: else interrupts are ignored.
  (
    trap - INT
    exec "$TUNE" with latency --iface v0 -- bash -c "$2"
  ) >/dev/null 2>&1 &
  pid=$!
  wait_until test -e "$CARD_DIR/runs"
  changed
  kill -s "$1" "$pid"
  CODE=0
  wait "$pid" || CODE=$?
}

wire_with_ends_with_the_command_on_a_signal() {
  local signal
  remember --iface v0
  for signal in INT TERM HUP; do
    # shellcheck disable=SC2016 # the inner shell's own variables
    in_with "$signal" 'touch "$CARD_DIR/runs"; exec sleep 60'
    ((CODE == 128 + $(kill -l "$signal"))) || die "$signal: exit code $CODE"
    unchanged --iface v0
    # A command that ends in order when it is asked to has its own word.
    in_with "$signal" "trap 'exit 5' $signal; touch \"\$CARD_DIR/runs\"; while :; do sleep 0.05; done"
    ((CODE == 5)) || die "$signal, handled: exit code $CODE"
    unchanged --iface v0
  done
}

wire_with_that_is_stopped_while_it_applies_gives_back() {
  local at calls
  play_card
  remember --iface v0
  at_call 0 before true
  expect 0 "$TUNE" with throughput --iface v0 -- true
  calls=$(<"$CARD_DIR/calls")
  for at in 3 $((calls / 3)) $((calls / 2)) $((calls / 2 + 4)); do
    # shellcheck disable=SC2016 # run by the card
    at_call "$at" after 'kill "$(<"$CARD_DIR/victim")"; sleep 0.05'
    victim "$TUNE" with throughput --iface v0 -- sleep 0.2
    rm "$CARD_DIR/at"
    unchanged_to_the_eye
    expect 0 "$TUNE" revert
    says 'nothing is applied'
  done
}

wire_with_can_be_stopped_between_any_of_its_commands() {
  local at started
  remember --iface v0
  # The script gets a signal right before one of its commands.
  cat >"$CARD_DIR/before-command" <<'END'
set -T
trap 'if [[ $BASH_COMMAND == "$AT_COMMAND" ]]; then AT_COMMAND= && kill -s "$AT_SIGNAL" $$; fi' DEBUG
END
  # shellcheck disable=SC2016 # text of the script
  for at in 'close_state TERM' 'CHILD=$! TERM' 'CHILD=$! INT' 'CHILD=$! HUP' 'wait_for_child TERM' 'wait "$CHILD" TERM'; do
    started=$SECONDS
    try env BASH_ENV="$CARD_DIR/before-command" AT_COMMAND="${at% *}" AT_SIGNAL="${at##* }" "$TUNE" with latency --iface v0 -- sleep 5
    ((CODE == 128 + $(kill -l "${at##* }"))) || die "$at: exit code $CODE: $OUT"
    # Its output ends when the command has ended as well.
    ((SECONDS - started < 4)) || die "$at: the command went on"
    unchanged --iface v0
  done
}

wire_with_leaves_an_interrupt_of_a_terminal_to_the_command() {
  local code=0
  if ! command -v script >/dev/null; then return 0; fi
  rm -f "$CARD_DIR/runs"
  remember --iface v0
  cat >"$CARD_DIR/counts" <<'END'
n=0
trap 'n=$((n + 1))' INT
touch "$CARD_DIR/runs"
for ((i = 0; i < 20; i++)); do sleep 0.05; done
exit $((40 + n))
END
  {
    wait_until test -e "$CARD_DIR/runs"
    sleep 0.1
    printf '\003'
    sleep 1
    # `exec`, since the shell between would have the interrupt too, and some shells end with it.
  } | script -qec "exec '$TUNE' with latency --iface v0 -- bash '$CARD_DIR/counts'" /dev/null >/dev/null || code=$?
  ((code == 41)) || die "exit code $code"
  unchanged --iface v0
}

wire_with_does_not_wait_for_ever() {
  local pid
  rm -f "$CARD_DIR/runs"
  remember --iface v0
  # shellcheck disable=SC2016 # the inner shell's own variables
  "$TUNE" with latency --iface v0 -- bash -c 'trap "" TERM; echo $$ >"$CARD_DIR/runs"; while :; do sleep 0.05; done' &
  pid=$!
  wait_until test -s "$CARD_DIR/runs"
  kill "$pid"
  # The second signal ends the waiting at once, else it ends after 10 s.
  sleep 0.3
  kill "$pid"
  wait "$pid" || true
  unchanged --iface v0
  kill -9 "$(<"$CARD_DIR/runs")"
}

wire_with_reverts_its_own_only() {
  remember --iface v0
  # While the command runs somebody reverts, and applies another profile.
  # shellcheck disable=SC2016 # the inner shell's own variables
  expect 0 "$TUNE" with latency --iface v0 -- bash -c '"$0" revert && "$0" apply million' "$TUNE"
  expect 0 "$TUNE" diff million
  expect 0 "$TUNE" revert million
  unchanged --iface v0
}

wire_with_refuses_before_it_runs() {
  expect 0 "$TUNE" apply million
  expect 3 "$TUNE" with latency -- touch "$TUNING_TEST_DIR/ran"
  [[ ! -e $TUNING_TEST_DIR/ran ]] || die 'it ran'
  expect 0 "$TUNE" revert
}
