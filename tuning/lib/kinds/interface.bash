# sysfs, rps, xps, irq: settings of an interface that are files.

# sysfs KEY = NUMBER: key → the least and the most.
declare -rA SYSFS_KEYS=(
  [gro_flush_timeout]='0 10000000'
  [napi_defer_hard_irqs]='0 1000'
  [threaded]='0 1'
)

check_sysfs() {
  local min max
  if [[ ! ${SYSFS_KEYS[$1]+known} ]]; then
    WRONG="sysfs $1: these are allowed: ${!SYSFS_KEYS[*]}"
    return 1
  fi
  read -r min max <<<"${SYSFS_KEYS[$1]}"
  if ! is_number "$3" "$min" "$max"; then
    WRONG="sysfs $1 = $3: not a number from $min to $max"
    return 1
  fi
}

expand_sysfs() {
  add_op "sysfs $1" "$IFACE" file "/sys/class/net/$IFACE/$1" "$2" "$3"
}

# rps cpus = none|LIST|$CORES, xps cpus = LIST|$CORES
check_rps() {
  if [[ $3 == none && $2 == '=' && $1 == cpus ]]; then return 0; fi
  check_cores_value rps cpus "$@"
}

check_xps() { check_cores_value xps cpus "$@"; }

# irq affinity = LIST|$CORES
check_irq() { check_cores_value irq affinity "$@"; }

# check_cores_value KIND ALLOWED_KEY KEY OP VALUE
check_cores_value() {
  if [[ $3 != "$2" || $4 != '=' ]] || ! cores_of "$5"; then
    WRONG="$1 $3 $4 $5: allowed is: $1 $2 = \$CORES, or a list of cores such as 0,2-5"
    return 1
  fi
  local core
  for core in "${CORES_OF[@]}"; do
    if [[ ! -e /sys/devices/system/cpu/cpu$core ]]; then
      WRONG="$1 $3 $4 $5: this machine has no core $core"
      return 1
    fi
  done
}

# Receive packets are handed to these cores by the kernel; none: they stay where the card brought them.
expand_rps() {
  local file
  mask_of
  if [[ $3 != none ]]; then
    cores_of "$3"
    mask_of "${CORES_OF[@]}"
  fi
  for file in "/sys/class/net/$IFACE/queues"/rx-*/rps_cpus; do
    if [[ ! -e $file ]]; then continue; fi
    add_op "rps $(basename "${file%/*}")" "$IFACE" mask "$file" '=' "$MASK_OF"
  done
}

# Queue q is used by the cores whose place in the list is q modulo the number of queues.
expand_xps() {
  local -a queues=("/sys/class/net/$IFACE/queues"/tx-*/) cores mine
  local queue at
  cores_of "$3"
  cores=("${CORES_OF[@]}")
  if ((${#queues[@]} < 2)); then
    add_none 'xps cpus' 'not offered: the interface has one send queue'
    return
  fi
  for queue in "${!queues[@]}"; do
    mine=()
    for ((at = queue; at < ${#cores[@]}; at += ${#queues[@]})); do mine+=("${cores[at]}"); done
    if ((${#mine[@]} == 0)); then continue; fi
    mask_of "${mine[@]}"
    add_op "xps tx-$queue" "$IFACE" mask "/sys/class/net/$IFACE/queues/tx-$queue/xps_cpus" '=' "$MASK_OF"
  done
}

# find_irqs: sets IRQS to `NUMBER QUEUE` of each of the interface's interrupts that belongs to a queue: those whose
# name ends with a number, as in eth0-TxRx-3, virtio2-input.0, mlx5_comp3@pci:0000:03:00.0, without mlx5_async0, which is
# the card's own.
find_irqs() {
  local -A ours=()
  local dir file irq name rest
  IRQS=()
  # A virtio interface's interrupts are those of the device above it.
  for dir in "/sys/class/net/$IFACE/device/msi_irqs" "/sys/class/net/$IFACE/device/../msi_irqs"; do
    if [[ ! -d $dir ]]; then continue; fi
    for file in "$dir"/*; do ours[${file##*/}]=yes; done
    break
  done
  while read -r irq rest; do
    irq=${irq%:}
    if [[ ! $irq =~ ^[0-9]+$ ]]; then continue; fi
    name=${rest##* }
    if [[ ! ${ours[$irq]+ours} && $name != "$IFACE" && $name != "$IFACE"-* ]]; then continue; fi
    # The interface's name may be any word.
    name=${name%%@*} name=${name#"$IFACE"}
    if [[ $name == *@(async|ctrl)* ]]; then continue; fi
    if [[ $name =~ ([0-9]+)$ ]]; then IRQS+=("$irq $((10#${BASH_REMATCH[1]}))"); fi
  done </proc/interrupts
}

# The interrupt of queue q goes to the q-th core of the list, round and round.
expand_irq() {
  local entry irq queue
  cores_of "$3"
  find_irqs
  if ((${#IRQS[@]} == 0)); then
    add_none 'irq affinity' "not offered: no interrupt of a queue of $IFACE is in /proc/interrupts"
    return
  fi
  for entry in "${IRQS[@]}"; do
    read -r irq queue <<<"$entry"
    add_op "irq $irq affinity" "$IFACE" file "/proc/irq/$irq/smp_affinity_list" '=' "${CORES_OF[queue % ${#CORES_OF[@]}]}"
  done
  if [[ ! ${IRQBALANCE_TOLD:-} ]] && pgrep -x irqbalance >/dev/null 2>&1; then
    note 'irqbalance is running and moves interrupts again: stop it, or give it --banirq for these'
    IRQBALANCE_TOLD=yes
  fi
}

dump_interface() {
  local key file entry
  for key in gro_flush_timeout napi_defer_hard_irqs threaded; do
    dump_line "sysfs $key" "$IFACE" file "/sys/class/net/$IFACE/$key"
  done
  for file in "/sys/class/net/$IFACE/queues"/*/{rps,xps}_cpus; do
    if [[ -e $file ]]; then dump_line "${file#"/sys/class/net/$IFACE/"}" "$IFACE" mask "$file"; fi
  done
  find_irqs
  for entry in ${IRQS[@]+"${IRQS[@]}"}; do
    dump_line "irq ${entry% *} affinity" "$IFACE" file "/proc/irq/${entry% *}/smp_affinity_list"
  done
}
