# ethtool rings|coalesce|feature KEY = VALUE: the settings of an interface's card that are one value each.
# Each of the three is a driver too (see lib/files.bash), whose target is the key.

# What ethtool printed, by its arguments, until something is changed: one answer tells several settings.
declare -A ASKED=()

# ask_ethtool ARGUMENT...: sets ANSWER to what ethtool prints.
ask_ethtool() {
  REASON='' REPLY='' ANSWER=${ASKED["$*"]:-}
  if [[ $ANSWER ]]; then return 0; fi
  if ! ANSWER=$(ethtool "$@" 2>&1); then
    why_ethtool "$ANSWER"
    return 1
  fi
  ASKED["$*"]=$ANSWER
}

forget_answers() { ASKED=(); }

# tell_ethtool ARGUMENT...: changes something.
tell_ethtool() {
  local error
  forget_answers
  REASON=''
  if ! error=$(ethtool "$@" 2>&1); then
    why_ethtool "$error"
    return 1
  fi
}

why_ethtool() {
  local first=${1%%$'\n'*}
  REASON="ethtool: ${first#netlink error: }"
}

# field SECTION NAME: sets REPLY to what stands behind `NAME:` after the line that begins with SECTION.
field() {
  local line inside=
  if [[ ! $1 ]]; then inside=yes; fi
  while IFS= read -r line; do
    if [[ $1 && $line == "$1"* ]]; then inside=yes; fi
    if [[ $inside && $line =~ ^[[:space:]]*"$2":[[:space:]]*(.*)$ ]]; then
      REPLY=${BASH_REMATCH[1]%"${BASH_REMATCH[1]##*[![:space:]]}"}
      if [[ $REPLY == n/a ]]; then break; fi
      return 0
    fi
  done <<<"$ANSWER"
  REASON="the driver has no $2"
  return 1
}

# Rings: KEY = N|max. The most that the driver has is read beside what is set.
#
# How many queues there are is not set: all that belongs to a queue goes with it, and much of that cannot be given back.

declare -rA RING_FIELDS=([rx]=RX [tx]=TX)

check_rings() {
  if [[ ! ${RING_FIELDS[$1]+known} ]]; then
    WRONG="ethtool rings $1: these are allowed: rx tx"
    return 1
  fi
  if [[ $3 != max ]] && ! is_number "$3" 1 1048576; then
    WRONG="ethtool rings $1 = $3: not max and not a number from 1 to 1048576"
    return 1
  fi
}

expand_rings() {
  local label="ethtool rings $1"
  if ! ask_ethtool -g "$IFACE" || ! field 'Pre-set maximums' "${RING_FIELDS[$1]}"; then
    add_none "$label" "not offered: $REASON"
  elif [[ $3 == max ]]; then
    add_op "$label" "$IFACE" rings "$1" '=' "$REPLY"
  elif (($3 > REPLY)); then
    add_none "$label" "not offered: $3 are asked for, the driver has $REPLY at most"
  else
    add_op "$label" "$IFACE" rings "$1" "$2" "$3"
  fi
}

read_rings() { ask_ethtool -g "$1" && field 'Current hardware settings' "${RING_FIELDS[$2]}"; }
write_rings() { tell_ethtool -G "$1" "$2" "$3"; }

# Coalescing: how long, or for how many frames, a card waits before it interrupts.

check_coalesce() {
  case $1 in
    adaptive-rx | adaptive-tx) is_word "$3" on off && [[ $2 == '=' ]] && return 0 ;;
    rx-usecs | tx-usecs | rx-frames | tx-frames) is_number "$3" 0 65535 && return 0 ;;
    *)
      WRONG="ethtool coalesce $1: these are allowed: adaptive-rx adaptive-tx rx-usecs tx-usecs rx-frames tx-frames"
      return 1
      ;;
  esac
  WRONG="ethtool coalesce $1 $2 $3: adaptive-rx and -tx are on or off, others a number from 0 to 65535"
  return 1
}

expand_coalesce() { add_op "ethtool coalesce $1" "$IFACE" coalesce "$1" "$2" "$3"; }

read_coalesce() {
  ask_ethtool -c "$1" || return 1
  case $2 in
    adaptive-*)
      # One line holds both: `Adaptive RX: off  TX: on`.
      field '' 'Adaptive RX' || return 1
      local rx=${REPLY%%[[:space:]]*} tx=${REPLY##*[[:space:]]}
      if [[ $2 == adaptive-rx ]]; then REPLY=$rx; else REPLY=$tx; fi
      if [[ $REPLY == n/a ]]; then
        REASON="the driver has no $2"
        return 1
      fi
      ;;
    *) field '' "$2" ;;
  esac
}

write_coalesce() { tell_ethtool -C "$1" "$2" "$3"; }

# Features: what `ethtool -k` shows, by the name that `ethtool -K` takes.
declare -rA FEATURES=(
  [gro]=generic-receive-offload
  [ntuple]=ntuple-filters
  [rx-gro-list]=rx-gro-list
  [rx-udp-gro-forwarding]=rx-udp-gro-forwarding
  [rxhash]=receive-hashing
)

check_feature() {
  if [[ ! ${FEATURES[$1]+known} ]]; then
    WRONG="ethtool feature $1: these are allowed: ${!FEATURES[*]}"
    return 1
  fi
  if [[ $2 != '=' ]] || ! is_word "$3" on off; then
    WRONG="ethtool feature $1 $2 $3: = and on or off is allowed"
    return 1
  fi
}

expand_feature() {
  if read_feature "$IFACE" "$1" && [[ $FEATURE_FIXED && $REPLY != "$3" ]]; then
    add_none "ethtool feature $1" "not offered: the driver has it fixed: $REPLY"
    return
  fi
  add_op "ethtool feature $1" "$IFACE" feature "$1" "$2" "$3"
}

read_feature() {
  ask_ethtool -k "$1" && field '' "${FEATURES[$2]}" || return 1
  FEATURE_FIXED=
  if [[ $REPLY == *'[fixed]'* ]]; then FEATURE_FIXED=yes; fi
  REPLY=${REPLY%% *}
}

write_feature() { tell_ethtool -K "$1" "$2" "$3"; }

dump_ethtool() {
  local key
  for key in rx tx; do dump_line "ethtool rings $key" "$IFACE" rings "$key"; done
  for key in adaptive-rx adaptive-tx rx-usecs tx-usecs rx-frames tx-frames; do
    dump_line "ethtool coalesce $key" "$IFACE" coalesce "$key"
  done
  for key in gro ntuple rx-gro-list rx-udp-gro-forwarding rxhash; do
    dump_line "ethtool feature $key" "$IFACE" feature "$key"
  done
}
