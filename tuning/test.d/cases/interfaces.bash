# Interfaces: which are touched, what if one goes away, and network namespaces.

wire_an_interface_that_was_not_named_is_not_touched() {
  local name
  play_card
  for name in latency throughput; do
    expect 0 "$TUNE" dump --iface v2
    local before=$OUT
    : >"$CARD_DIR/log"
    expect 0 "$TUNE" apply "$name" --iface v0
    if grep -v -w v0 "$CARD_DIR/log"; then die 'the card was asked about another interface'; fi
    # A card that is played has one set of settings; the files are each interface's own.
    expect 0 "$TUNE" dump --iface v2
    diff <(grep -v -e '^ethtool' -e '^sysctl' -e '^thp' <<<"$before") <(grep -v -e '^ethtool' -e '^sysctl' -e '^thp' <<<"$OUT") ||
      die 'v2 was touched'
    expect 0 "$TUNE" revert
  done
}

wire_only_interrupts_of_queues_are_moved() {
  printf '%s\n' '           CPU0       CPU1' ' 901:  5  5  PCI-MSIX-0000:03:00.0  0-edge  v0-async0@pci:0000:03:00.0' \
    ' 902:  5  5  PCI-MSIX-0000:03:00.0  1-edge  v0-comp0@pci:0000:03:00.0' ' 903:  5  5  IR-PCI-MSI 3-edge  v0-TxRx-1' \
    ' 904:  5  5  IR-PCI-MSI 4-edge  v0-ctrl-2' ' 905:  5  5  IR-PCI-MSI 5-edge  v0' ' 906:  5  5  IR-PCI-MSI 6-edge  v2-TxRx-0' \
    'NMI:  5  5  Non-maskable interrupts' >"$CARD_DIR/interrupts"
  mount --bind "$CARD_DIR/interrupts" /proc/interrupts
  try "$TUNE" dump --iface v0
  umount /proc/interrupts
  [[ $(grep -o '^irq [0-9]*' <<<"$OUT" | paste -sd ' ') == 'irq 902 irq 903' ]] || die "it would move: $OUT"
}

wire_an_interface_that_vanished_is_said() {
  echo 1 >/sys/kernel/mm/transparent_hugepage/khugepaged/defrag
  remember
  expect 0 "$TUNE" apply latency --iface v0
  ip link del v0
  expect 3 "$TUNE" revert
  says 'v0 is gone'
  says 'tune revert --forget'
  # What is not the interface's was given back all the same.
  [[ $(</sys/kernel/mm/transparent_hugepage/khugepaged/defrag) == 1 ]] || die 'the rest was not given back'
  expect 3 "$TUNE" apply million
  expect 3 "$TUNE" revert
  expect 0 "$TUNE" revert --forget
  says forgotten
  make_wire
  unchanged
  expect 0 "$TUNE" revert
  says 'nothing is applied'
}

wire_another_interface_of_the_same_name_is_not_touched() {
  expect 0 "$TUNE" apply latency --iface v0
  make_wire
  echo 77 >/sys/class/net/v0/napi_defer_hard_irqs
  expect 3 "$TUNE" revert
  says 'v0 is another interface now'
  [[ $(</sys/class/net/v0/napi_defer_hard_irqs) == 77 ]] || die 'it was touched'
  expect 0 "$TUNE" revert --forget
  [[ $(</sys/class/net/v0/napi_defer_hard_irqs) == 77 ]] || die 'it was touched'
}

wire_an_interface_that_vanishes_halfway_leaves_what_was_done_revertible() {
  local at calls code gone=0
  play_card
  remember
  at_call 0 before true
  expect 0 "$TUNE" apply throughput --iface v0 --workers 1
  calls=$(<"$CARD_DIR/calls")
  expect 0 "$TUNE" revert
  for ((at = calls; at > calls / 2; at -= 14)); do
    make_wire
    play_card
    at_call "$at" before 'ip link del v0'
    try "$TUNE" apply throughput --iface v0 --workers 1
    code=$CODE
    rm "$CARD_DIR/at"
    if ((code == 3)) && [[ $OUT == *'applying throughput: v0 is gone'* ]]; then gone=$((gone + 1)); fi
    expect 3 "$TUNE" revert
    says 'v0 is gone'
    expect 0 "$TUNE" revert --forget
    make_wire
    play_card
    unchanged
  done
  ((gone > 0)) || die 'it never vanished while something was set'
}

wire_the_interfaces_of_another_namespace_are_not_taken_for_ours() {
  # /sys still shows this namespace's v0; the other one has a v0 as well.
  # shellcheck disable=SC2016 # the inner shell's own variables
  expect 3 unshare --net bash -c '
    ip link add v0 numrxqueues 2 numtxqueues 2 type veth peer name v1 numrxqueues 2 numtxqueues 2
    ip link add v2 type veth peer name v3
    exec "$0" apply latency --iface v0' "$TUNE"
  one_line
  says 'another network namespace'
}

wire_revert_does_not_take_the_interfaces_of_another_namespace_for_ours() {
  local holder rps=/sys/class/net/v0/queues/rx-0/rps_cpus
  profile 'rps cpus = 0'
  rm -f "$CARD_DIR/runs"
  # The other namespace has interfaces of the same names, and its v0 has the number of ours.
  # shellcheck disable=SC2016 # the inner shell's own variables
  unshare --net --mount --propagation private bash -ec '
    mount -t sysfs sysfs /sys
    ip link add v0 index "$1" type veth peer name v1
    ip link add v2 type veth peer name v3
    "$0" apply "$2" --iface v0
    touch "$CARD_DIR/runs"
    exec sleep 60' "$TUNE" "$(</sys/class/net/v0/ifindex)" "$PROFILE_FILE" >/dev/null &
  holder=$!
  wait_until test -e "$CARD_DIR/runs"
  echo 2 >"$rps"
  expect 3 nsenter --target "$holder" --net "$TUNE" revert
  one_line
  says 'another network namespace'
  [[ $(<"$rps") =~ ^0*2$ ]] || die "ours was touched: $(<"$rps")"
  expect 0 nsenter --target "$holder" --net --mount "$TUNE" revert
  says 'rps rx-0'
  expect 0 nsenter --target "$holder" --net --mount cat "$rps"
  [[ $OUT =~ ^0*$ ]] || die "theirs was not given back: $OUT"
  kill "$holder"
}

wire_two_namespaces_do_not_mix() {
  local in_another=(unshare --net "$TUNE")
  echo 1 >/sys/kernel/mm/transparent_hugepage/khugepaged/defrag
  remember --iface v0
  expect 0 "$TUNE" apply latency --iface v0
  # What is the whole machine's is held by the first one.
  # shellcheck disable=SC2016 # the inner shell's own variables
  expect 0 unshare --net bash -ec '
    "$0" apply latency
    "$0" revert
    "$0" apply million
    [[ $(</proc/sys/net/ipv4/udp_rmem_min) == 16384 ]]
    "$0" revert
    [[ $(</proc/sys/net/ipv4/udp_rmem_min) == 4096 ]]' "$TUNE"
  says "skipped: it is the whole machine's, and set by latency of network namespace"
  says 'revert it there'
  [[ $(</sys/kernel/mm/transparent_hugepage/khugepaged/defrag) == 0 ]] || die 'the other one gave back what is ours'
  expect 0 "$TUNE" revert
  unchanged --iface v0
  # A namespace that has gone leaves the machine's settings behind, and any other can give them back.
  expect 0 "${in_another[@]}" apply latency
  changed
  expect 0 "$TUNE" revert
  says 'tune revert --machine'
  expect 0 "$TUNE" revert --machine
  unchanged --iface v0
  rm -f "$REDPKT_TUNE_STATE"/net-*
}
