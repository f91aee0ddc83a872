# sysctl NAME = NUMBERS: settings under /proc/sys.

# Name → how many numbers, the least and the most of each. What is not here cannot be in a profile.
declare -rA SYSCTLS=(
  [fs.file-max]='1 1024 9223372036854775'
  [fs.nr_open]='1 1024 2147483584'
  [kernel.numa_balancing]='1 0 3'
  [net.core.busy_poll]='1 0 10000'
  [net.core.busy_read]='1 0 10000'
  [net.core.netdev_budget]='1 1 100000'
  [net.core.netdev_budget_usecs]='1 100 1000000'
  [net.core.netdev_max_backlog]='1 1 10000000'
  [net.core.rmem_default]='1 2304 2147483647'
  [net.core.rmem_max]='1 2304 2147483647'
  [net.core.wmem_default]='1 4608 2147483647'
  [net.core.wmem_max]='1 4608 2147483647'
  [net.ipv4.ip_local_port_range]='2 1 65535'
  [net.ipv4.neigh.default.gc_thresh1]='1 0 16777216'
  [net.ipv4.neigh.default.gc_thresh2]='1 0 16777216'
  [net.ipv4.neigh.default.gc_thresh3]='1 0 16777216'
  [net.ipv4.udp_mem]='3 1 2147483647'
  [net.ipv4.udp_rmem_min]='1 4096 16777216'
  [net.ipv6.neigh.default.gc_thresh1]='1 0 16777216'
  [net.ipv6.neigh.default.gc_thresh2]='1 0 16777216'
  [net.ipv6.neigh.default.gc_thresh3]='1 0 16777216'
  [net.netfilter.nf_conntrack_max]='1 1024 134217728'
  [net.netfilter.nf_conntrack_udp_timeout]='1 1 3600'
)

check_sysctl() {
  local name=$1 value=$3 count min max number
  if [[ ! ${SYSCTLS[$name]+known} ]]; then
    WRONG="$name is not a sysctl that profiles may set; those are listed by: tune dump"
    return 1
  fi
  read -r count min max <<<"${SYSCTLS[$name]}"
  local -a numbers
  read -r -a numbers <<<"$value"
  if ((${#numbers[@]} != count)); then
    WRONG="$name = $value: numbers needed: $count"
    return 1
  fi
  for number in "${numbers[@]}"; do
    if ! is_number "$number" "$min" "$max"; then
      WRONG="$name = $value: $number is not a number from $min to $max"
      return 1
    fi
  done
}

expand_sysctl() {
  add_op "sysctl $1" - file "/proc/sys/${1//./\/}" "$2" "$3"
}

dump_sysctl() {
  local name
  for name in "${!SYSCTLS[@]}"; do
    dump_line "sysctl $name" - file "/proc/sys/${name//./\/}"
  done | sort
}
