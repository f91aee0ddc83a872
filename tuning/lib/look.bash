# list, show, diff, dump: commands that only look.

list_profiles() {
  local file line
  for file in "$TUNE_DIR"/profiles/*; do
    line=$(sed -n 's/^about: //p' "$file")
    printf '%-12s %s\n' "${file##*/}" "${line//[[:cntrl:]]/?}"
  done
}

# show_profile PROFILE: every setting with its reasons, and what is there now.
show_profile() {
  local at entry
  prepare "$1"
  make_plan
  printf '%s: %s\n' "$PROFILE" "$ABOUT"
  for at in "${!P_TITLE[@]}"; do
    printf '\n%s %s %s\n' "${P_TITLE[at]}" "${P_OP[at]}" "${P_VALUE[at]}"
    for entry in "${!O_LABEL[@]}"; do
      if [[ ${O_SETTING[entry]} == "$at" ]]; then printf '  now:    %s\n' "$(now_of "$entry")"; fi
    done
    printf '  why:    %s\n  cost:   %s\n  kernel: %s\n' "${P_WHY[at]}" "${P_COST[at]}" "${P_KERNEL[at]}"
  done
}

# now_of AT
now_of() {
  local label=${O_LABEL[$1]}
  if [[ $label == "${P_TITLE[${O_SETTING[$1]}]}" ]]; then label=; else label+=': '; fi
  if [[ ${O_NOTE[$1]} ]]; then
    printf '%s' "${O_NOTE[$1]}"
  elif is_change "$1"; then
    printf '%s%s, would be %s' "$label" "${O_NOW[$1]}" "${O_WANT[$1]}"
  else
    printf '%s%s, as it should be' "$label" "${O_NOW[$1]}"
  fi
}

# diff_profile PROFILE: what differs from it. Exit code 1 if anything does.
diff_profile() {
  local at found=0
  prepare "$1"
  make_plan
  for at in "${!O_LABEL[@]}"; do
    if ! is_change "$at"; then continue; fi
    if ((found == 0)); then row SETTING NOW PROFILE ''; fi
    found=1
    row "${O_LABEL[at]}" "${O_NOW[at]}" "${O_WANT[at]}" ''
  done
  exit "$found"
}

# dump_line LABEL IFACE DRIVER TARGET
dump_line() {
  if "read_$3" "$2" "$4"; then
    printf '%s = %s\n' "$1" "$REPLY"
  else
    printf '%s: not offered\n' "$1"
  fi
}

# dump_all: every setting that a profile can change.
dump_all() {
  if [[ $IFACE ]]; then
    need_tool ethtool 'dump --iface'
    check_interface
  fi
  dump_sysctl
  dump_thp
  dump_governor
  if [[ ! $IFACE ]]; then return; fi
  dump_interface
  dump_ethtool
  dump_spreading
}
