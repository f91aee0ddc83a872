# The machine: its cores, the interface that was named, the network namespace, what this process may do.

# find_cores: sets CORES and WORKERS as `redpkt serve` does without --cores and --workers: the cores that this
# process may run on, a worker each. With WORKERS given, the first so many of them; with CORES given, those.
find_cores() {
  local list
  if [[ ! $CORES ]]; then
    CORES=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
  fi
  if ! cores_of "$CORES"; then fail 2 "--cores $CORES: not a list of cores such as 0,2-5"; fi
  if [[ ! $WORKERS ]]; then WORKERS=${#CORES_OF[@]}; fi
  if ((WORKERS > ${#CORES_OF[@]})); then
    fail 2 "--workers $WORKERS: there are ${#CORES_OF[@]} cores ($CORES); each worker needs one"
  fi
  list="${CORES_OF[*]:0:WORKERS}"
  CORES=${list// /,}
}

# The network namespace of this process, a number.
find_namespace() {
  local link
  link=$(readlink /proc/self/ns/net) || fail 3 'reading /proc/self/ns/net: mount /proc'
  NETNS=${link//[!0-9]/}
}

# interface_index IF: sets INDEX to its number, which no other interface of this namespace ever had.
interface_index() {
  { IFS= read -r INDEX <"/sys/class/net/$1/ifindex"; } 2>/dev/null
}

readonly SYS_IS_ANOTHERS="/sys shows the interfaces of another network namespace; mount it in this one, as \`ip netns exec\` does"

# check_interface: that IFACE is here, and in /sys as well.
check_interface() {
  local here
  if [[ ! $IFACE =~ ^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$ ]]; then
    fail 2 "--iface $IFACE: not the name of an interface"
  fi
  here=$(interfaces_here)
  if [[ $'\n'$here$'\n' != *$'\n'$IFACE$'\n'* ]]; then
    fail 2 "--iface $IFACE: there is no such interface here; there are: ${here//$'\n'/ }"
  fi
  if ! sys_is_ours "$IFACE" || ! interface_index "$IFACE"; then fail 3 "--iface $IFACE: $SYS_IS_ANOTHERS"; fi
  IFACE_INDEX=$INDEX
}

# The names that the namespace itself tells, whatever is mounted.
interfaces_here() {
  sed -n 's/^ *\([^ :]*\):.*/\1/p' /proc/self/net/dev | sort
}

# sys_is_ours IF: whether /sys shows the interfaces of this network namespace and not of the one it was mounted in, where
# another interface may have IF's name and number. An IF that has gone is in neither.
sys_is_ours() {
  local shown told
  shown=$(cd /sys/class/net 2>/dev/null && for told in *; do if [[ -d $told ]]; then echo "$told"; fi; done | sort) || return 1
  [[ $shown == "$(interfaces_here)" ]] || return 1
  if ! interface_index "$1"; then return 0; fi
  is_same_by_ip "$1"
}

# is_same_by_ip IF: the number and the hardware address that `ip` tells, which asks the namespace itself. Without `ip`,
# the names do.
is_same_by_ip() {
  local told address
  if ! command -v ip >/dev/null; then return 0; fi
  told=$(ip -o link show dev "$1" 2>/dev/null) || return 1
  address=$(cat "/sys/class/net/$1/address" 2>/dev/null) || return 1
  [[ $told == "$INDEX: "* && ($told == *" $address "* || ! $address) ]]
}

# is_gone IF INDEX: whether the interface is not there any more, or another one of the same name; sets REASON.
is_gone() {
  if ! interface_index "$1"; then
    REASON="$1 is gone"
  elif [[ $INDEX != "$2" ]]; then
    REASON="$1 is another interface now (number $INDEX, it was $2)"
  else
    return 1
  fi
}

readonly CAP_NET_ADMIN=12

may_configure_network() {
  local effective
  effective=$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)
  ((16#$effective >> CAP_NET_ADMIN & 1))
}

# may_configure IF: asks the kernel itself, which knows whether a user namespace owns this network namespace, by writing
# the interface's group over itself.
may_configure() {
  read_file - "/sys/class/net/$1/netdev_group" || return 0
  write_file - "/sys/class/net/$1/netdev_group" "$REPLY"
}

# need_tool NAME WHY: before anything is done.
need_tool() {
  if ! command -v "$1" >/dev/null; then fail 3 "$2 needs the command $1: install it"; fi
}
