# From a profile's settings to single changes on this machine, with what is there now.

# One entry for each change. NOTE says why there is none; DENIED, that this process may not make it.
declare -a O_LABEL=() O_IFACE=() O_DRIVER=() O_TARGET=() O_NOW=() O_WANT=() O_NOTE=() O_DENIED=() O_SETTING=()

readonly DRIVERS=(file choice mask rings coalesce feature hash rss ntuple)

# same DRIVER A B: whether two values mean the same.
same() {
  if declare -F "same_$1" >/dev/null; then "same_$1" "$2" "$3"; else [[ $2 == "$3" ]]; fi
}

# add_none LABEL NOTE: a setting that changes nothing here.
add_none() {
  local at=${#O_LABEL[@]}
  O_LABEL[at]=$1 O_NOTE[at]=$2 O_SETTING[at]=$SETTING
  O_IFACE[at]=- O_DRIVER[at]='' O_TARGET[at]='' O_NOW[at]='' O_WANT[at]='' O_DENIED[at]=''
}

# add_op LABEL IFACE|- DRIVER TARGET =|>= VALUE
add_op() {
  local at=${#O_LABEL[@]} want=$6 denied=
  if ! "read_$3" "$2" "$4"; then
    add_none "$1" "not offered: $REASON"
    return
  fi
  local now=$REPLY
  if [[ ! $now ]]; then
    add_none "$1" 'not offered: it has no value'
    return
  fi
  if [[ $5 == '>=' ]]; then
    raise "$now" "$want"
    want=$RAISED
  fi
  if ! same "$3" "$now" "$want"; then
    if is_word "$3" file choice mask && ! access_file "$4"; then
      if ((DENIED == 0)); then
        add_none "$1" "not offered: it can only be read here; the machine's first network namespace can set it (now $now)"
        return
      fi
      denied="writing $4"
    elif [[ $2 != - ]] && ! may_configure_network; then
      denied="changing $2 (CAP_NET_ADMIN)"
    fi
  fi
  O_LABEL[at]=$1 O_IFACE[at]=$2 O_DRIVER[at]=$3 O_TARGET[at]=$4 O_NOW[at]=$now O_WANT[at]=$want
  O_NOTE[at]='' O_DENIED[at]=$denied O_SETTING[at]=$SETTING
}

# is_change AT: whether this entry would change something.
is_change() {
  [[ ! ${O_NOTE[$1]} ]] && ! same "${O_DRIVER[$1]}" "${O_NOW[$1]}" "${O_WANT[$1]}"
}

# is_machines AT: whether it belongs to the whole machine, not to a network namespace or an interface.
is_machines() {
  [[ ${O_IFACE[$1]} == - && ${O_TARGET[$1]} != /proc/sys/net/* ]]
}

# make_plan: fills the arrays from the profile that was read.
make_plan() {
  local at kind
  forget_answers
  for at in "${!P_KIND[@]}"; do
    SETTING=$at kind=${P_KIND[at]}
    if [[ ${KINDS[$kind]} && ! $IFACE ]]; then
      add_none "${P_TITLE[at]}" 'skipped: no --iface'
    else
      "expand_$kind" "${P_KEY[at]}" "${P_OP[at]}" "${P_VALUE[at]}"
    fi
  done
  for at in "${!O_LABEL[@]}"; do measure "${O_LABEL[at]}" "${O_NOW[at]}" "${O_WANT[at]}"; done
}

# prepare PROFILE: all that is common to the commands that look at a profile. Anything wrong ends them here, before
# anything is changed.
prepare() {
  local at
  find_profile "$1"
  find_cores
  read_profile
  if [[ $IFACE ]]; then
    check_interface
    for at in "${!P_TITLE[@]}"; do
      if [[ ${P_TITLE[at]} == ethtool* ]]; then need_tool ethtool "$PROFILE_FILE:${P_LINE[at]}: ${P_TITLE[at]}"; fi
    done
  fi
}
