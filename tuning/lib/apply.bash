# apply: writes down what is there, then changes it.

# refuse_second: one profile at a time.
refuse_second() {
  journal_of_namespace
  if read_journal; then
    fail 3 "applying $PROFILE: ${J_HEAD[profile]} is applied since ${J_HEAD[since]}; first: tune revert"
  fi
  journal_of_machine
  if read_journal; then
    if [[ ${J_HEAD[netns]} == "$NETNS" ]]; then
      fail 3 "applying $PROFILE: parts of ${J_HEAD[profile]} are applied since ${J_HEAD[since]}; first: tune revert"
    fi
    MACHINE_HELD="skipped: it is the whole machine's, and set by ${J_HEAD[profile]} of network namespace ${J_HEAD[netns]}"
  fi
}

# refuse_unprivileged: before anything is changed.
refuse_unprivileged() {
  local at count=0 first=
  for at in "${!O_LABEL[@]}"; do
    if [[ ! ${O_DENIED[at]} ]]; then continue; fi
    count=$((count + 1))
    first=${first:-"${O_LABEL[at]}: ${O_DENIED[at]}"}
  done
  if ((count == 0)) && changes_interface && ! may_configure "$IFACE"; then
    count=1 first="changing $IFACE (CAP_NET_ADMIN over this network namespace)"
  fi
  if ((count > 0)); then
    fail 3 "applying $PROFILE: $first: not permitted (settings: $count); run it as root. Nothing was changed"
  fi
}

# changes_interface: whether the plan would change anything of an interface.
changes_interface() {
  local at
  for at in "${!O_LABEL[@]}"; do
    if [[ ${O_IFACE[at]} != - ]] && is_change "$at"; then return 0; fi
  done
  return 1
}

# stopped: by a signal, while it applies.
stopped() {
  if [[ ${RUN_ID:-} ]]; then note "applying $PROFILE: stopped; what was set stays until: tune revert"; fi
  exit 130
}

# plan_apply: the plan, without what another namespace's profile holds.
plan_apply() {
  local at
  make_plan
  for at in "${!O_LABEL[@]}"; do
    if [[ ${MACHINE_HELD:-} && ! ${O_NOTE[at]} ]] && is_machines "$at"; then
      O_NOTE[at]=$MACHINE_HELD O_DENIED[at]=''
    fi
  done
}

# show_plan WORD: what would be done.
show_plan() {
  local at
  row SETTING NOW NEW ''
  for at in "${!O_LABEL[@]}"; do
    if [[ ${O_NOTE[at]} ]]; then
      row "${O_LABEL[at]}" "${O_NOW[at]:--}" - "${O_NOTE[at]}"
    elif is_change "$at"; then
      row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_WANT[at]}" "$1"
    else
      row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_WANT[at]}" 'is so'
    fi
  done
}

# apply_dry: says what would be changed and touches nothing.
apply_dry() {
  prepare "$1"
  plan_apply
  show_plan 'would be set'
}

# apply_profile PROFILE
apply_profile() {
  local at
  local -a of_namespace=() of_machine=()
  prepare "$1"
  # What may not be changed is known without a state directory.
  make_plan
  refuse_unprivileged
  open_state
  refuse_second
  O_LABEL=() O_NOTE=()
  plan_apply
  for at in "${!O_LABEL[@]}"; do
    # Some drivers change one setting of a card with another, so all of a card's are written down.
    if ! is_change "$at" && [[ ${O_NOTE[at]} || ! ${O_LABEL[at]} == ethtool* ]]; then
      continue
    elif is_machines "$at"; then
      of_machine+=("$at")
    else
      of_namespace+=("$at")
    fi
  done
  RUN_ID=$(</proc/sys/kernel/random/uuid)
  if ((${#of_machine[@]} > 0)); then
    journal_of_machine
    write_down "${of_machine[@]}"
  fi
  journal_of_namespace
  write_down ${of_namespace[@]+"${of_namespace[@]}"}
  change_all
}

# change_all: makes the changes of the plan, each with a line of what came of it.
change_all() {
  local at failed=
  row SETTING WAS IS ''
  for at in "${!O_LABEL[@]}"; do
    if [[ ${O_NOTE[at]} ]]; then
      row "${O_LABEL[at]}" "${O_NOW[at]:--}" - "${O_NOTE[at]}"
    elif ! is_change "$at"; then
      row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_NOW[at]}" 'was so'
    else
      change "$at" || failed=$REASON
    fi
  done
  if [[ $failed ]]; then
    fail 3 "applying $PROFILE: $failed; what was set stays until: tune revert"
  fi
}

# change AT: one change. Fails with REASON if the interface has gone, or it is not permitted.
change() {
  local at=$1 iface=${O_IFACE[$1]} driver=${O_DRIVER[$1]} target=${O_TARGET[$1]} want=${O_WANT[$1]} why
  if ! "write_$driver" "$iface" "$target" "$want"; then
    why=$REASON
    if [[ $iface != - ]] && is_gone "$iface" "$IFACE_INDEX"; then
      row "${O_LABEL[at]}" "${O_NOW[at]}" - "not set: $REASON"
      return 1
    fi
    if [[ $why == *'not permitted'* || $why == *'Permission denied'* ]]; then
      row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_NOW[at]}" "not permitted: $why"
      REASON='something was not permitted'
      return 1
    fi
    row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_NOW[at]}" "not offered: $why"
  elif "read_$driver" "$iface" "$target" && same "$driver" "$REPLY" "$want"; then
    row "${O_LABEL[at]}" "${O_NOW[at]}" "$want" set
  else
    if is_machines "$at"; then journal_of_machine; else journal_of_namespace; fi
    write_is "$driver $target" "$REPLY"
    row "${O_LABEL[at]}" "${O_NOW[at]}" "${REPLY:--}" "set to $want, and this is what the kernel made of it"
  fi
}
