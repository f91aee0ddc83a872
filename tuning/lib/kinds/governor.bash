# governor KEY = WORD: how the processor's clock is chosen, for every frequency policy.

readonly CPUFREQ_DIR=/sys/devices/system/cpu/cpufreq

# Key → the file beside it that lists what may be chosen.
declare -rA GOVERNOR_CHOICES=(
  [energy_performance_preference]=energy_performance_available_preferences
  [scaling_governor]=scaling_available_governors
)

check_governor() {
  if [[ ! ${GOVERNOR_CHOICES[$1]+known} ]]; then
    WRONG="governor $1: scaling_governor and energy_performance_preference are allowed"
    return 1
  fi
  if [[ $2 != '=' || ! $3 =~ ^[a-z_]{1,32}$ ]]; then
    WRONG="governor $1 $2 $3: = and a word such as performance is allowed"
    return 1
  fi
}

expand_governor() {
  local policy file choices found=
  for policy in "$CPUFREQ_DIR"/policy*; do
    file=$policy/$1
    if [[ ! -e $file ]]; then continue; fi
    found=yes
    choices=
    if read_file - "$policy/${GOVERNOR_CHOICES[$1]}"; then choices=$REPLY; fi
    if [[ " $choices " == *" $3 "* ]]; then
      add_op "governor ${policy##*/} $1" - file "$file" "$2" "$3"
    else
      add_none "governor ${policy##*/} $1" "not offered: the driver has no $3, only: ${choices:-nothing}"
    fi
  done
  if [[ ! $found ]]; then
    add_none "governor $1" "not offered: nothing under $CPUFREQ_DIR has it; on a virtual machine the host decides"
  fi
}

dump_governor() {
  local policy key
  for policy in "$CPUFREQ_DIR"/policy*; do
    for key in energy_performance_preference scaling_governor; do
      if [[ -e $policy/$key ]]; then dump_line "governor ${policy##*/} $key" - file "$policy/$key"; fi
    done
  done
}
