# Killed outright at any point: the next revert gives everything back.

# victim COMMAND...: runs it so that the card's deed can kill it.
victim() {
  # shellcheck disable=SC2016 # this shell's own variables
  bash -c 'echo $$ >"$CARD_DIR/victim"; exec "$@"' - "$@" >/dev/null 2>&1 || true
}

# shellcheck disable=SC2016 # run by the card
readonly KILL='kill -9 "$(<"$CARD_DIR/victim")"; sleep 0.05'

# calls_of COMMAND...: sets CALLS to how often it asks the card.
calls_of() {
  at_call 0 before true
  expect 0 "$@"
  CALLS=$(<"$CARD_DIR/calls")
}

wire_apply_killed_at_any_call_of_the_card() {
  local at when killed=0
  play_card
  remember --iface v0
  calls_of "$TUNE" apply throughput --iface v0 --workers 1
  expect 0 "$TUNE" revert
  # The first calls only look. Odd and even ones, before and after the call.
  when=after
  for ((at = CALLS; at > CALLS / 2; at -= 5)); do
    at_call "$at" "$when" "$KILL"
    victim "$TUNE" apply throughput --iface v0 --workers 1
    if [[ -e $(echo "$REDPKT_TUNE_STATE"/net-*) ]]; then killed=$((killed + 1)); fi
    rm "$CARD_DIR/at"
    expect 0 "$TUNE" revert
    unchanged_to_the_eye
    if [[ $when == after ]]; then when=before; else when=after; fi
  done
  ((killed > 3)) || die "only $killed of the kills came after something was written down"
}

wire_revert_killed_at_any_call_of_the_card() {
  local at
  play_card
  remember --iface v0
  expect 0 "$TUNE" apply throughput --iface v0 --workers 1
  calls_of "$TUNE" revert
  for ((at = 1; at < CALLS; at += 14)); do
    expect 0 "$TUNE" apply throughput --iface v0 --workers 1
    at_call "$at" after "$KILL"
    victim "$TUNE" revert
    rm "$CARD_DIR/at"
    expect 0 "$TUNE" revert
    unchanged_to_the_eye
  done
}

wire_apply_killed_after_any_time() {
  local ms pid
  remember --iface v0
  for ((ms = 20; ms <= 300; ms += 23)); do
    "$TUNE" apply latency --iface v0 >/dev/null 2>&1 &
    pid=$!
    sleep "$(printf '0.%03d' "$ms")"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    expect 0 "$TUNE" revert
    unchanged_to_the_eye
  done
}

wire_with_killed_outright_is_given_back_by_the_next_revert() {
  local pid sleeper
  remember --iface v0
  # shellcheck disable=SC2016 # the inner shell's own variables
  "$TUNE" with latency --iface v0 -- bash -c 'echo $$ >"$CARD_DIR/child"; exec sleep 60' >/dev/null 2>&1 &
  pid=$!
  wait_until test -s "$CARD_DIR/child"
  kill -9 "$pid"
  wait "$pid" 2>/dev/null || true
  sleeper=$(<"$CARD_DIR/child")
  rm "$CARD_DIR/child"
  kill "$sleeper"
  changed
  expect 3 "$TUNE" apply million
  expect 0 "$TUNE" revert
  unchanged --iface v0
}
