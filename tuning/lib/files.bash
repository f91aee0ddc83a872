# Settings that are files of /proc and /sys. Three drivers: `file` (text), `choice` (the chosen word in brackets) and
# `mask` (cores in hex, with or without leading zeros).
#
# A driver has read_DRIVER IFACE TARGET (sets REPLY), write_DRIVER IFACE TARGET VALUE and, where equal values can be
# written in several ways, same_DRIVER A B. What fails sets REASON.

# As the kernel writes it, with one blank between numbers.
read_file() {
  REASON='' REPLY=''
  if [[ ! -e $2 ]]; then
    REASON="there is no $2"
    return 1
  fi
  if ! { IFS= read -r REPLY <"$2"; } 2>/dev/null; then
    REASON="the kernel does not let $2 be read"
    return 1
  fi
  REPLY=${REPLY//$'\t'/ }
}

write_file() {
  local error
  REASON=''
  if ! error=$({ printf '%s\n' "$3" >"$2"; } 2>&1); then
    REASON="the kernel refuses it: ${error##*: }"
    return 1
  fi
}

read_choice() {
  read_file "$1" "$2" || return 1
  if [[ ! $REPLY =~ \[([a-z+_-]+)\] ]]; then
    REASON="nothing is chosen in $2"
    return 1
  fi
  REPLY=${BASH_REMATCH[1]}
}

write_choice() { write_file "$@"; }

read_mask() { read_file "$@"; }
write_mask() { write_file "$@"; }

same_mask() {
  local a=${1//,/} b=${2//,/}
  a=${a#"${a%%[!0]*}"} b=${b#"${b%%[!0]*}"}
  [[ $a == "$b" ]]
}

# access_file PATH: whether it can be written. Fails with DENIED=1 if only this user cannot, and with DENIED=0 if
# nobody can, as with what belongs to another network namespace.
access_file() {
  local mode
  DENIED=0
  if [[ -w $1 ]]; then return 0; fi
  mode=$(stat -c %a -- "$1" 2>/dev/null) || mode=0
  if ((8#$mode & 8#222)); then DENIED=1; fi
  return 1
}
