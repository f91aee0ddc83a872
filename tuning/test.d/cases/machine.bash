# In the network namespace that the test was started in, without an interface.

machine_every_profile_is_given_back() {
  local name
  for name in latency throughput million laptop; do
    remember
    expect 0 "$TUNE" apply "$name"
    if [[ $(readlink /proc/self/ns/net) == "$(readlink /proc/1/ns/net)" && $name != laptop ]]; then changed; fi
    # What it set is there: only what the kernel made something else of may differ.
    expect 0 "$TUNE" diff "$name"
    expect 0 "$TUNE" revert "$name"
    unchanged
  done
}

machine_without_an_interface_none_is_touched() {
  expect 0 "$TUNE" apply throughput --dry-run
  says 'skipped: no --iface'
  if [[ $OUT == *' rps rx-'* || $OUT == *' xps tx-'* ]]; then die "an interface would be touched: $OUT"; fi
}

machine_list_and_help_say_what_there_is() {
  expect 0 "$TUNE" list
  local name
  for name in latency throughput million laptop; do says "$name "; done
  expect 0 "$TUNE" --help
  expect 2 "$TUNE"
  for name in latency throughput million laptop; do
    expect 0 "$TUNE" show "$name"
    says 'why: '
    says 'now: '
  done
}
