# What is refused, before anything is changed: one line, the right exit code.

wire_a_wrong_profile_is_refused_as_a_whole() {
  local line
  play_card
  remember --iface v0
  # shellcheck disable=SC2016 # text that nobody may run
  for line in 'sysctl net.core.no_such = 1' 'sysctl net.ipv4.tcp_rmem = 1 2 3' 'sysctl net.ipv4.udp_rmem_min = 1' \
    'sysctl net.ipv4.udp_rmem_min = 99999999999' 'sysctl net.ipv4.udp_rmem_min = 4096 4096' 'sysctl net.ipv4.udp_rmem_min = -1' \
    'sysctl net.ipv4.udp_rmem_min = $(reboot)' 'sysctl net.ipv4.udp_rmem_min = 010000' 'sysctl ../../etc/passwd = 1' \
    'sysctl net.ipv4.ip_local_port_range = 1 65536' 'sysctl net.ipv4.udp_rmem_min' 'sysctl net.ipv4.udp_rmem_min : 4096' \
    'shell reboot = now' 'ethtool' 'sysctl' '@ x = 1' 'sysctl @ = 1' 'rings rx = max' 'ethtool sysctl x = 1' 'ethtool rings rx = 0' 'ethtool rings mx = max' \
    'ethtool coalesce rx-usecs = 65536' 'ethtool coalesce adaptive-rx = 1' 'ethtool feature tso = on' \
    'ethtool feature ntuple = maybe' 'ethtool rss queues = 0' 'ethtool rss queues = 1025' 'ethtool hash tcp4 = sd' \
    'ethtool ntuple udp4-dst-port = 65536' 'ethtool channels combined = 2' 'sysfs mtu = 9000' 'sysfs threaded = 2' \
    'sysfs gro_flush_timeout = 10000001' 'rps cpus = 5-1' 'rps cpus = ff' 'xps cpus = none' 'xps cpus = 0-8192' \
    'irq affinity = 8000' 'governor scaling_governor = ../x' 'governor cpuinfo = performance' 'thp enabled = sometimes' \
    'thp defrag >= madvise' 'limit nofile = 1024' 'limit cpu >= 1' 'serve when-idle = spin' 'serve --batch = 1;reboot'; do
    profile 'sysctl net.ipv4.udp_rmem_min = 16384' 'sysfs napi_defer_hard_irqs = 3' "$line"
    expect 2 "$TUNE" apply "$PROFILE_FILE" --iface v0
    one_line
    says "$PROFILE_FILE:10: "
  done
  unchanged --iface v0
}

wire_a_profile_without_reasons_is_refused() {
  printf 'about: a test\nsysctl net.ipv4.udp_rmem_min = 16384\n  why: w\n  cost: c\n' >"$TUNING_TEST_DIR/mine"
  expect 2 "$TUNE" apply "$TUNING_TEST_DIR/mine"
  one_line
  says 'mine:2: '
  printf 'about: a test\n  why: w\n' >"$TUNING_TEST_DIR/mine"
  expect 2 "$TUNE" apply "$TUNING_TEST_DIR/mine"
  says 'mine:2: '
  printf 'sysctl net.ipv4.udp_rmem_min = 16384\n  why: w\n  cost: c\n  kernel: k\n' >"$TUNING_TEST_DIR/mine"
  expect 2 "$TUNE" apply "$TUNING_TEST_DIR/mine"
  says 'about: '
  printf 'about: a test\r\n' >"$TUNING_TEST_DIR/mine"
  expect 2 "$TUNE" apply "$TUNING_TEST_DIR/mine"
  says 'mine:1: it ends with a carriage return'
  printf 'about: a test\nsysctl net.ipv4.udp_rmem_min = 16384\n  reboot: now\n' >"$TUNING_TEST_DIR/mine"
  expect 2 "$TUNE" apply "$TUNING_TEST_DIR/mine"
  says 'mine:3: '
}

wire_a_profile_that_would_control_a_terminal_is_refused() {
  local text
  for text in 'red \e[31m' 'a title \e]0;mine\a' 'back\b' 'rubout \x7f' 'of UTF-8 \xc2\x9b31m'; do
    printf 'about: %b\n' "$text" >"$TUNING_TEST_DIR/mine"
    expect 2 "$TUNE" show "$TUNING_TEST_DIR/mine"
    one_line
    says 'mine:1: it has a control character'
    printf 'about: a test\nsysctl net.ipv4.udp_rmem_min = 16384\n  why: %b\n' "$text" >"$TUNING_TEST_DIR/mine"
    expect 2 "$TUNE" show "$TUNING_TEST_DIR/mine"
    one_line
    says 'mine:3: it has a control character'
  done
  profile 'sysctl net.ipv4.udp_rmem_min = 16384'
  printf '\twhy: 4 µs,\t分抢\n' >>"$PROFILE_FILE"
  expect 0 "$TUNE" show "$PROFILE_FILE"
  says $'4 µs,\t分抢'
}

wire_wrong_words_are_refused() {
  local words
  while IFS= read -r words; do
    # shellcheck disable=SC2086 # these are words
    expect 2 "$TUNE" $words
    one_line
  done <<'END'
applaud latency
apply
apply nothing
apply latency million
apply ../tune
apply latency --iface
apply latency --iface nope
apply latency --iface ../v0
apply latency --port 0
apply latency --port 65536
apply latency --workers 0
apply latency --workers 1000
apply latency --cores x
apply latency --forget
apply latency --now
revert --dry-run
revert --port 7100
revert --workers 1
revert --cores 0
dump --workers 1
dump --cores 0
with latency
with latency -- /no/such/command
show latency -- true
list latency
END
}

wire_measure_refuses_places_that_it_does_not_know() {
  local places
  for places in wifi lo,wifi veth: 'lo,' ''; do
    expect 2 "$HERE/measure" --places "$places" --redpkt "$(type -P false)" --bench "$(type -P false)"
    [[ $OUT == "measure: --places $places: "* && $OUT != *$'\n'* ]] || die "it says: $OUT"
  done
}

wire_a_second_profile_is_refused() {
  expect 0 "$TUNE" apply million
  remember --iface v0
  expect 3 "$TUNE" apply latency --iface v0
  one_line
  says 'million is applied since'
  expect 2 "$TUNE" revert latency
  one_line
  unchanged --iface v0
  expect 0 "$TUNE" revert million
}

wire_revert_of_another_interface_is_refused() {
  local forget
  expect 0 "$TUNE" apply latency --iface v0
  remember --iface v0
  for forget in '' --forget; do
    expect 2 "$TUNE" revert --iface v1 ${forget:+"$forget"}
    one_line
    says 'latency was applied to v0'
  done
  unchanged --iface v0
  expect 0 "$TUNE" revert --iface v0
  expect 0 "$TUNE" apply million
  expect 2 "$TUNE" revert --iface v0
  one_line
  says 'million was applied to no interface'
  expect 0 "$TUNE" revert
}

wire_of_two_at_once_one_wins() {
  local round a b codes
  remember --iface v0
  for round in 1 2 3 4 5; do
    codes=''
    "$TUNE" apply latency --iface v0 >/dev/null 2>&1 &
    a=$!
    "$TUNE" apply million --iface v0 >/dev/null 2>&1 &
    b=$!
    if wait "$a"; then codes+=0; else codes+=$?; fi
    if wait "$b"; then codes+=0; else codes+=$?; fi
    [[ $codes == 03 || $codes == 30 ]] || die "round $round: exit codes $codes"
    expect 0 "$TUNE" revert
    unchanged --iface v0
  done
}

wire_a_tune_at_work_is_waited_for() {
  local holder
  expect 0 "$TUNE" revert
  flock "$REDPKT_TUNE_STATE/lock" sleep 1 &
  holder=$!
  sleep 0.2
  local started_ms
  started_ms=$(date +%s%3N)
  expect 0 "$TUNE" apply laptop
  (($(date +%s%3N) - started_ms > 400)) || die 'it did not wait'
  wait "$holder"
  expect 0 "$TUNE" revert
}

wire_a_missing_ethtool_is_said_first() {
  local tool bin=$TUNING_TEST_DIR/bin
  mkdir -p "$bin"
  for tool in bash sed sort stat sync flock mkdir mv rm cat readlink dirname basename pgrep paste ip env; do
    ln -sf "$(command -v "$tool")" "$bin/$tool"
  done
  remember --iface v0
  expect 3 env PATH="$bin" bash "$TUNE" apply throughput --iface v0
  one_line
  says 'profiles/throughput:'
  says 'needs the command ethtool'
  # Nobody needs it who names no interface.
  expect 0 env PATH="$bin" bash "$TUNE" apply throughput
  expect 0 env PATH="$bin" bash "$TUNE" revert
  unchanged --iface v0
}

wire_without_privilege_nothing_is_changed() {
  local copy=$TUNING_TEST_DIR/copy
  cp -r "$HERE" "$copy"
  chmod 711 "$TUNING_TEST_DIR"
  chmod -R a+rX "$copy"
  remember --iface v0
  expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups "$copy/tune" apply million
  one_line
  says 'not permitted'
  expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$copy/tune" apply latency --iface v0
  one_line
  # Root, but not over the network.
  expect 3 setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$copy/tune" apply latency --iface v0
  one_line
  says CAP_NET_ADMIN
  # Anybody may look.
  expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups "$copy/tune" show latency --iface v0
  expect 0 setpriv --reuid=65534 --regid=65534 --clear-groups "$copy/tune" apply latency --iface v0 --dry-run
  if unshare --user --map-root-user true 2>/dev/null; then
    expect 3 unshare --user --map-root-user "$copy/tune" apply latency --iface v0
    one_line
  fi
  unchanged --iface v0
}

wire_a_state_that_others_can_write_is_refused() {
  mkdir -p "$TUNING_TEST_DIR/open"
  chmod 777 "$TUNING_TEST_DIR/open"
  remember --iface v0
  expect 3 env REDPKT_TUNE_STATE="$TUNING_TEST_DIR/open" "$TUNE" apply million
  one_line
  says 'chmod 700'
  chmod 700 "$TUNING_TEST_DIR/open"
  mkdir "$TUNING_TEST_DIR/full"
  chmod 700 "$TUNING_TEST_DIR/full"
  mount -t tmpfs -o size=4k,nr_inodes=2,mode=700 full "$TUNING_TEST_DIR/full"
  expect 3 env REDPKT_TUNE_STATE="$TUNING_TEST_DIR/full" "$TUNE" apply million
  says 'so nothing is changed'
  umount "$TUNING_TEST_DIR/full"
  unchanged --iface v0
}
