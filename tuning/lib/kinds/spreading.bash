# ethtool hash|rss|ntuple KEY = VALUE: how a card spreads datagrams over its receive queues.

# hash udp4|udp6 = sd|sdfn: what of a datagram is hashed; s, d addresses, f, n ports.

check_hash() {
  if [[ $2 != '=' ]] || ! is_word "$1" udp4 udp6 || ! is_word "$3" sd sdfn; then
    WRONG="ethtool hash $1 $2 $3: allowed is: ethtool hash udp4|udp6 = sd|sdfn"
    return 1
  fi
}

expand_hash() { add_op "ethtool hash $1" "$IFACE" hash "$1" "$2" "$3"; }

read_hash() {
  ask_ethtool -n "$1" rx-flow-hash "$2" || return 1
  local line hashed=
  while IFS= read -r line; do
    case $line in
      'L2DA'*) hashed+=m ;;
      'VLAN tag'*) hashed+=v ;;
      'L3 proto'*) hashed+=t ;;
      'IP SA'*) hashed+=s ;;
      'IP DA'*) hashed+=d ;;
      'L4 bytes 0 & 1'*) hashed+=f ;;
      'L4 bytes 2 & 3'*) hashed+=n ;;
    esac
  done <<<"$ANSWER"
  if [[ ! $hashed ]]; then
    REASON='the driver does not say what it hashes'
    return 1
  fi
  REPLY=$hashed
}

write_hash() { tell_ethtool -N "$1" rx-flow-hash "$2" "$3"; }

# rss queues = N: the table from hash to queue spreads equally over the queues 0 to N-1.
#
# Only what ethtool can set again is changed, so a table is kept as the arguments that make it: `default`,
# `equal N [start Q]` or `weight W...`; any other is left alone.

check_rss() {
  if [[ $1 != queues || $2 != '=' ]] || ! is_number "$3" 1 1024; then
    WRONG="ethtool rss $1 $2 $3: allowed is: ethtool rss queues = N, 1 to 1024"
    return 1
  fi
}

expand_rss() {
  local want="equal $3"
  if ! read_rss "$IFACE" queues; then
    add_none 'ethtool rss queues' "not offered: $REASON"
  elif (($3 > RSS_QUEUES)); then
    add_none 'ethtool rss queues' "not offered: $3 are asked for, the interface has $RSS_QUEUES; first, if the driver can: ethtool -L $IFACE combined $3"
  else
    if (($3 == RSS_QUEUES)); then want=default; fi
    add_op 'ethtool rss queues' "$IFACE" rss queues '=' "$want"
  fi
}

read_rss() {
  ask_ethtool -x "$1" || return 1
  local line
  local -a table=() numbers
  RSS_QUEUES=
  while IFS= read -r line; do
    if [[ $line =~ 'with '([0-9]+)' RX ring' ]]; then RSS_QUEUES=${BASH_REMATCH[1]}; fi
    if [[ $line =~ ^[[:space:]]*[0-9]+:([[:space:]0-9]+)$ ]]; then
      read -r -a numbers <<<"${BASH_REMATCH[1]}"
      table+=("${numbers[@]}")
    fi
  done <<<"$ANSWER"
  if [[ ! $RSS_QUEUES ]] || ((${#table[@]} == 0)); then
    REASON='the driver has no table to spread by'
    return 1
  fi
  arguments_of_table "${table[@]}"
}

arguments_of_table() {
  local -a table=("$@") weights=()
  local at first=$1 last=$1 period queue in_turn=yes in_blocks=yes
  for at in "${!table[@]}"; do
    queue=${table[at]}
    if ((queue < ${table[at > 0 ? at - 1 : 0]})); then in_blocks=; fi
    if ((queue > last)); then last=$queue; fi
    weights[queue]=$((${weights[queue]:-0} + 1))
  done
  period=$((last - first + 1))
  for at in "${!table[@]}"; do
    if ((period < 1 || table[at] != first + at % period)); then in_turn=; break; fi
  done
  if [[ $in_turn && $first == 0 && $period == "$RSS_QUEUES" ]]; then
    REPLY=default
  elif [[ $in_turn ]]; then
    REPLY="equal $period"
    if ((first > 0)); then REPLY+=" start $first"; fi
  elif [[ $in_blocks ]]; then
    REPLY=weight
    for ((queue = 0; queue <= last; queue++)); do REPLY+=" ${weights[queue]:-0}"; done
  else
    REASON='its table is one that ethtool could not set again: ethtool -X IF default makes it one that can be changed'
    return 1
  fi
}

write_rss() {
  local -a arguments
  read -r -a arguments <<<"$3"
  tell_ethtool -X "$1" "${arguments[@]}"
}

# ntuple udp4-dst-port = PORT: a rule that brings a UDP port to queue 0. Its value is `rule`, or the numbers of the rules
# that do so, or `none`.

check_ntuple() {
  if [[ $1 != udp4-dst-port || $2 != '=' ]] || ! is_number "$3" 1 65535; then
    WRONG="ethtool ntuple $1 $2 $3: allowed is: ethtool ntuple udp4-dst-port = PORT"
    return 1
  fi
}

expand_ntuple() {
  if ((WORKERS > 1)); then
    add_none 'ethtool ntuple' "skipped: a rule brings a port to one queue; for $WORKERS workers the hash spreads it"
  else
    add_op 'ethtool ntuple' "$IFACE" ntuple "$3" "$2" rule
  fi
}

read_ntuple() {
  ask_ethtool -n "$1" || return 1
  local line id='' udp='' port='' plain=yes
  local -a ids=()
  while IFS= read -r line; do
    line=${line#"${line%%[![:space:]]*}"}
    case $line in
      'Filter: '*) id=${line#Filter: } udp='' port='' plain=yes ;;
      'Rule Type: UDP over IPv4'*) udp=yes ;;
      "Dest port: $2 mask: 0x0") port=yes ;;
      # A rule that looks at more than the port is not ours.
      *'addr: '* | 'Src port: '*) if [[ $line != *'mask: 255.255.255.255' && $line != *'mask: 0xffff' ]]; then plain=; fi ;;
      'Action: Direct to queue 0') if [[ $id && $udp && $port && $plain ]]; then ids+=("$id"); fi ;;
    esac
  done <<<"$ANSWER"
  REPLY="${ids[*]:-none}"
}

same_ntuple() {
  [[ $1 == "$2" || ($2 == rule && $1 != none) ]]
}

# To give back means: the rules that were there stay, others for the port go.
write_ntuple() {
  local -a ids
  local id
  if [[ $3 == rule ]]; then
    tell_ethtool -N "$1" flow-type udp4 dst-port "$2" action 0
    return
  fi
  read_ntuple "$1" "$2" || return 1
  read -r -a ids <<<"$REPLY"
  for id in "${ids[@]}"; do
    if [[ $id == none || " $3 " == *" $id "* ]]; then continue; fi
    tell_ethtool -N "$1" delete "$id" || return 1
  done
}

dump_spreading() {
  local key
  for key in udp4 udp6; do dump_line "ethtool hash $key" "$IFACE" hash "$key"; done
  dump_line 'ethtool rss' "$IFACE" rss queues
  dump_line "ethtool ntuple $PORT" "$IFACE" ntuple "$PORT"
}
