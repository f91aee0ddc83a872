# What the cases are made of.

export CARD_DIR=$TUNING_TEST_DIR

# The real one, also while a card is played.
ETHTOOL=$(command -v ethtool)
readonly ETHTOOL

# What a command printed, and how it ended.
OUT='' CODE=0

is_chosen() {
  local part
  for part in "${@:2}"; do
    if [[ $1 == *"$part"* ]]; then return 0; fi
  done
  return 1
}

# run_case FUNCTION: in a shell of its own, with a new wire, and nothing applied before or after.
run_case() {
  local title=${1#*_} started=$SECONDS
  if (
    set -e
    if [[ $TUNING_TEST_PART == wire ]]; then make_wire; fi
    "$1"
    expect 0 "$TUNE" revert
    [[ $OUT == 'nothing is applied' ]] || die "something was left applied: $OUT"
  ) >"$TUNING_TEST_DIR/said" 2>&1; then
    echo "ok      ${title//_/ } ($((SECONDS - started)) s)"
  else
    echo "FAILED  ${title//_/ }"
    head -60 "$TUNING_TEST_DIR/said" | sed 's/^/        /'
    "$TUNE" revert --machine >/dev/null 2>&1 || "$TUNE" revert --machine --forget >/dev/null 2>&1 || true
    return 1
  fi
}

die() {
  echo "$1"
  exit 1
}

# try COMMAND...: sets OUT (both streams) and CODE.
try() {
  CODE=0
  OUT=$("$@" 2>&1) || CODE=$?
}

# expect CODE COMMAND...
expect() {
  try "${@:2}"
  if ((CODE != $1)); then die "expected exit code $1, not $CODE of: ${*:2}"$'\n'"$OUT"; fi
}

# says TEXT: the last command did.
says() {
  if [[ $OUT != *"$1"* ]]; then die "expected \"$1\" in: $OUT"; fi
}

# one_line: the last command said one line, and who said it.
one_line() {
  if [[ $OUT == *$'\n'* || $OUT != 'tune: '* ]]; then die "expected one line of tune, not: $OUT"; fi
}

# make_wire: v0 and v1, joined, with two queues each, and v2 and v3 that nobody names.
make_wire() {
  local pair
  ip link del v0 2>/dev/null || true
  ip link del v2 2>/dev/null || true
  for pair in 'v0 v1' 'v2 v3'; do
    ip link add "${pair% *}" numrxqueues 2 numtxqueues 2 type veth peer name "${pair#* }" numrxqueues 2 numtxqueues 2
    ip link set "${pair% *}" up
    ip link set "${pair#* }" up
  done
}

# play_card: from here on `ethtool` is that of test.d/card, with settings unlike any profile's.
play_card() {
  local entry
  rm -rf "$CARD_DIR/card"
  mkdir "$CARD_DIR/card"
  for entry in rings-rx=256 rings-tx=512 channels=4 adaptive-rx=off rx-usecs=8 tx-usecs=16 ntuple=off rxhash=off \
    rx-udp-gro-forwarding=on hash-udp4=sd hash-udp6=sd 'rss=0 0 0 0 0 0 1 1 1 1 2 2 2 3 3 3' 'rules=7 7100 1'; do
    echo "${entry#*=}" >"$CARD_DIR/card/${entry%%=*}"
  done
  echo 0 >"$CARD_DIR/calls"
  : >"$CARD_DIR/log"
  rm -f "$CARD_DIR/at"
  if [[ $PATH != "$HERE/test.d/card:"* ]]; then PATH=$HERE/test.d/card:$PATH; fi
}

# at_call N before|after COMMANDS: what happens at the N-th call of the card from here on.
at_call() {
  echo 0 >"$CARD_DIR/calls"
  echo "$2" >"$CARD_DIR/when"
  echo "$3" >"$CARD_DIR/deed"
  echo "$1" >"$CARD_DIR/at"
}

# everything: all that profiles can change and much beside it, told without the help of `tune`.
everything() {
  local file
  grep -rs . /proc/sys/net/core /proc/sys/net/ipv4 /proc/sys/net/ipv6/neigh /proc/sys/net/netfilter /proc/sys/fs/nr_open \
    /proc/sys/fs/file-max /proc/sys/kernel/numa_balancing /sys/kernel/mm/transparent_hugepage/{enabled,defrag} \
    /sys/kernel/mm/transparent_hugepage/khugepaged/defrag |
    grep -v -e '^/proc/sys/net/ipv[46]/conf/' -e '/neigh/[^d]' -e nf_conntrack_count -e '/inet_peer' -e 'route/flush' -e tcp_fastopen_key -e random |
    sort
  if [[ $TUNING_TEST_PART != wire ]]; then return; fi
  for file in /sys/class/net/v[0-3]; do
    if [[ ! -d $file ]]; then continue; fi
    grep -s . "$file"/{napi_defer_hard_irqs,gro_flush_timeout,threaded,tx_queue_len,flags,mtu} "$file"/queues/*/* |
      grep -v -e /tx_timeout
    "$ETHTOOL" -k "${file##*/}"
    "$ETHTOOL" -l "${file##*/}"
  done
  if [[ -d $CARD_DIR/card ]]; then grep -r . "$CARD_DIR/card" | sort; fi
}

# remember, unchanged: that all is as it was, byte for byte, by our own eyes and by the dump.
remember() {
  everything >"$TUNING_TEST_DIR/before" 2>&1
  "$TUNE" dump "$@" >"$TUNING_TEST_DIR/dump-before"
}

unchanged() {
  unchanged_to_the_eye
  "$TUNE" dump "$@" >"$TUNING_TEST_DIR/dump-after"
  diff "$TUNING_TEST_DIR/dump-before" "$TUNING_TEST_DIR/dump-after" || die 'the dump is not as it was'
}

# unchanged_to_the_eye: the same without the dump, which takes longer.
unchanged_to_the_eye() {
  everything >"$TUNING_TEST_DIR/after" 2>&1
  diff "$TUNING_TEST_DIR/before" "$TUNING_TEST_DIR/after" || die 'not as it was'
}

# changed: the contrary, so that tests test something.
changed() {
  everything >"$TUNING_TEST_DIR/after" 2>&1
  if cmp -s "$TUNING_TEST_DIR/before" "$TUNING_TEST_DIR/after"; then die 'nothing was changed'; fi
}

# profile LINE...: a file PROFILE_FILE with these lines and what else a profile needs.
profile() {
  PROFILE_FILE=$TUNING_TEST_DIR/mine
  echo 'about: a test' >"$PROFILE_FILE"
  local line
  for line in "$@"; do
    printf '%s\n  why: w\n  cost: c\n  kernel: k\n' "$line" >>"$PROFILE_FILE"
  done
}

# wait_until COMMAND...: for 10 s at the most.
wait_until() {
  local tries
  for ((tries = 0; tries < 200; tries++)); do
    if "$@"; then return 0; fi
    sleep 0.05
  done
  die "not within 10 s: $*"
}
