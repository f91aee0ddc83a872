# revert: gives back what was before, from the last change to the first, or forgets it.

# revert_profile [PROFILE]: all that this network namespace has applied.
revert_profile() {
  local found='' left='' forget='tune revert --forget'
  open_state
  journal_of_namespace
  if read_journal; then
    found=yes
    refuse_other "${1:-}"
    revert_journal || left=yes
  fi
  journal_of_machine
  if read_journal; then
    if [[ ${J_HEAD[netns]} == "$NETNS" || $MACHINE_TOO ]]; then
      found=yes
      refuse_other "${1:-}"
      revert_journal || left=yes forget+=' --machine'
    else
      note "the whole machine's settings are those of ${J_HEAD[profile]}, applied in network namespace ${J_HEAD[netns]}; revert it there, or if that is gone: tune revert --machine"
    fi
  fi
  if [[ ! $found ]]; then
    echo 'nothing is applied'
  elif [[ $left ]]; then
    fail 3 "not all was given back; what is left is kept in $STATE_DIR: try again, or leave it so and drop that: $forget"
  fi
}

# forget_profile [PROFILE]: what was before in this network namespace, where all stays as it is; with --machine also what
# was before on the whole machine, which any namespace could still give back.
forget_profile() {
  local found=
  open_state
  journal_of_namespace
  if read_journal; then
    found=yes
    refuse_other "${1:-}"
    forget_journal
  fi
  journal_of_machine
  if read_journal; then
    if [[ $MACHINE_TOO ]]; then
      found=yes
      refuse_other "${1:-}"
      forget_journal
    elif [[ ${J_HEAD[netns]} == "$NETNS" ]]; then
      note "the whole machine's settings of ${J_HEAD[profile]} are not forgotten; give them back: tune revert"
    fi
  fi
  if [[ ! $found ]]; then echo 'nothing to forget'; fi
}

# forget_journal: drops JOURNAL, and says what is lost with it.
forget_journal() {
  local at
  load_sets
  if [[ ! ${HEADED:-} ]]; then
    measure SETTING 'SET TO' BEFORE
    row SETTING 'SET TO' BEFORE ''
  fi
  HEADED=yes
  for at in "${!O_LABEL[@]}"; do row "${O_LABEL[at]}" "${O_WANT[at]}" "${O_NOW[at]}" forgotten; done
  drop_journal
}

# revert_run ID: what the apply with this ID did; nothing if it was reverted meanwhile.
revert_run() {
  local left=
  open_state
  for JOURNAL in "$STATE_DIR/net-$NETNS" "$STATE_DIR/machine"; do
    if ! read_journal || [[ ${J_HEAD[id]} != "$1" ]]; then continue; fi
    revert_journal || left=yes
  done
  close_state
  [[ ! $left ]]
}

# refuse_other PROFILE: if another one than that is applied, or with another interface than --iface names.
refuse_other() {
  local named=${J_HEAD[iface]:-}
  named=${named% *}
  if [[ $1 && ${J_HEAD[profile]} != "${1##*/}" ]]; then
    fail 2 "reverting $1: it is not applied, ${J_HEAD[profile]} is, since ${J_HEAD[since]}; leave the name out to revert that"
  fi
  # Another namespace's interfaces are not those that --iface means.
  if [[ $IFACE && ${J_HEAD[netns]} == "$NETNS" && $IFACE != "$named" ]]; then
    fail 2 "reverting --iface $IFACE: ${J_HEAD[profile]} was applied to ${named:-no interface}; leave --iface out to revert that"
  fi
}

# revert_journal: gives back what JOURNAL says. Fails if something is left.
revert_journal() {
  local at
  local -a left=() again=()
  load_sets
  refuse_anothers_sys
  forget_answers
  if ((${#O_LABEL[@]} == 0)); then
    echo "${J_HEAD[profile]} had changed nothing"
  elif [[ ! ${HEADED:-} ]]; then
    row SETTING WAS 'IS AGAIN' ''
    HEADED=yes
  fi
  for ((at = ${#O_LABEL[@]} - 1; at >= 0; at--)); do
    if ! give_back "$at"; then again=("$at" ${again[@]+"${again[@]}"}); fi
  done
  # One setting can have been in another's way, or have changed it. What is left is tried once more in the order of
  # the profile, and everything is looked at again.
  for at in ${again[@]+"${again[@]}"}; do
    if give_back "$at"; then continue; fi
    row "${O_LABEL[at]}" '' '' "not given back: $REASON"
    left+=("$at")
  done
  forget_answers
  for at in "${!O_LABEL[@]}"; do
    if ! is_word "$at" ${left[@]+"${left[@]}"} && ! give_back "$at"; then
      row "${O_LABEL[at]}" '' '' "not given back: $REASON"
      left+=("$at")
    fi
  done
  if ((${#left[@]} == 0)); then
    drop_journal
    return 0
  fi
  keep_left "${left[@]}"
  return 1
}

# refuse_anothers_sys: before anything is written to an interface that only looks like the one that was changed.
refuse_anothers_sys() {
  local iface
  for iface in ${O_IFACE[@]+"${O_IFACE[@]}"}; do
    if [[ $iface == - ]]; then continue; fi
    if ! sys_is_ours "$iface"; then fail 3 "reverting ${J_HEAD[profile]} on $iface: $SYS_IS_ANOTHERS. Nothing was changed"; fi
    return 0
  done
}

# load_sets: the journal's changes as entries of a plan, NOW being what was and WANT what was set.
load_sets() {
  local line at=0
  O_LABEL=() O_IFACE=() O_DRIVER=() O_TARGET=() O_NOW=() O_WANT=()
  for line in ${J_SETS[@]+"${J_SETS[@]}"}; do
    IFS=$'\t' read -r 'O_IFACE[at]' 'O_DRIVER[at]' 'O_TARGET[at]' 'O_LABEL[at]' 'O_NOW[at]' 'O_WANT[at]' <<<"$line"
    if ! is_word "${O_DRIVER[at]}" "${DRIVERS[@]}"; then
      fail 3 "reading $JOURNAL: it has a driver ${O_DRIVER[at]}, which this tune does not know; use the one that wrote it"
    fi
    measure "${O_LABEL[at]}" "${O_WANT[at]}" "${O_NOW[at]}"
    at=$((at + 1))
  done
}

# give_back AT: fails with REASON. What has its value already is passed by.
give_back() {
  local at=$1 iface=${O_IFACE[$1]} driver=${O_DRIVER[$1]} target=${O_TARGET[$1]} was=${O_NOW[$1]} now remark=
  if [[ $iface != - ]] && is_gone "$iface" "${J_HEAD[iface]##* }"; then return 1; fi
  if [[ $driver =~ ^(rings|coalesce|feature|hash|rss|ntuple)$ ]] && ! command -v ethtool >/dev/null; then
    REASON='the command ethtool is missing: install it'
    return 1
  fi
  "read_$driver" "$iface" "$target" || return 1
  now=$REPLY
  if same "$driver" "$now" "$was"; then return 0; fi
  if ! same "$driver" "$now" "${J_IS["$driver $target"]:-${O_WANT[at]}}"; then
    remark="it had been changed meanwhile, from ${O_WANT[at]}"
  fi
  "write_$driver" "$iface" "$target" "$was" || return 1
  "read_$driver" "$iface" "$target" || return 1
  if ! same "$driver" "$REPLY" "$was"; then
    REASON="it was $was, and is $REPLY after that was set again"
    return 1
  fi
  row "${O_LABEL[at]}" "$now" "$was" "$remark"
}

# keep_left AT...: the journal without what was given back.
keep_left() {
  local at
  local -a lines=()
  for at in "${!J_LINES[@]}"; do
    if [[ ${J_LINES[at]} != 'set'$'\t'* ]]; then lines+=("${J_LINES[at]}"); fi
  done
  for at in "${!J_SETS[@]}"; do
    if is_word "$at" "$@"; then lines+=('set'$'\t'"${J_SETS[at]}"); fi
  done
  put_journal "${lines[@]}"
}
