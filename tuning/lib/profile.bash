# Reads a profile: text that is checked word for word and never executed.
#
#   about: what it is for
#
#   KIND KEY = VALUE        or >= : at least; what is higher stays
#     why:    ...
#     cost:   ...
#     kernel: ...

# Kind → whether it needs an interface. `ethtool rings` is the kind rings, and so on.
declare -rA KINDS=(
  [sysctl]='' [thp]='' [governor]='' [limit]='' [serve]=''
  [sysfs]=yes [rps]=yes [xps]=yes [irq]=yes
  [rings]=yes [coalesce]=yes [feature]=yes [hash]=yes [rss]=yes [ntuple]=yes
)

# The settings of the profile, in its order.
declare -a P_KIND=() P_KEY=() P_OP=() P_VALUE=() P_LINE=() P_WHY=() P_COST=() P_KERNEL=() P_TITLE=()
ABOUT=

# find_profile NAME|PATH: sets PROFILE (its name) and PROFILE_FILE.
find_profile() {
  case $1 in
    */*) PROFILE_FILE=$1 ;;
    *) PROFILE_FILE=$TUNE_DIR/profiles/$1 ;;
  esac
  PROFILE=${1##*/}
  if [[ ! -f $PROFILE_FILE || ! -r $PROFILE_FILE || ! $PROFILE =~ ^[A-Za-z0-9._-]+$ ]]; then
    fail 2 "profile $1: there is none; $(profile_names), or the path of a file"
  fi
}

profile_names() {
  local -a files=("$TUNE_DIR"/profiles/*)
  printf 'there are %s' "$(basename -a "${files[@]}" | paste -sd ' ')"
}

# wrong LINE TEXT: a profile is refused as a whole.
wrong() {
  fail 2 "$PROFILE_FILE:$1: $2"
}

# read_profile: fills the arrays from PROFILE_FILE.
read_profile() {
  local line number=0 at=-1
  while IFS= read -r line || [[ $line ]]; do
    number=$((number + 1))
    if [[ $line == *$'\r' ]]; then wrong "$number" 'it ends with a carriage return: save the file with the line ends of Unix'; fi
    refuse_control "$number" "$line"
    case $line in
      '' | '#'*) ;;
      'about: '*) ABOUT=${line#about: } ;;
      [[:blank:]]*)
        if [[ $line =~ ^[[:blank:]]*$ ]]; then continue; fi
        if ((at < 0)); then wrong "$number" 'it begins with blanks, but no setting stands before it'; fi
        read_remark "$number" "$at" "$line"
        ;;
      *)
        at=$((at + 1))
        read_setting "$number" "$at" "$line"
        ;;
    esac
  done <"$PROFILE_FILE"
  if [[ ! $ABOUT ]]; then wrong 1 'a line that begins with about: is missing'; fi
  if ((at < 0)); then wrong "$number" 'it has no setting'; fi
  for ((; at >= 0; at--)); do
    if [[ ! ${P_WHY[at]} || ! ${P_COST[at]} || ! ${P_KERNEL[at]} ]]; then
      wrong "${P_LINE[at]}" "${P_TITLE[at]}: why:, cost: and kernel: are needed, indented, on the lines below it"
    fi
  done
}

# refuse_control LINE TEXT: what is shown of a profile, which may be anybody's, is not to control a terminal. C2 begins
# the control characters that UTF-8 has beside those of ASCII.
refuse_control() {
  local text=${2//$'\t'/ }
  if [[ $text == *[[:cntrl:]]* || $text == *$'\xc2'[$'\x80'-$'\x9f']* ]]; then
    wrong "$1" 'it has a control character other than a tab: remove it'
  fi
}

# read_remark LINE AT TEXT: one of the three remarks, or more of the last one.
read_remark() {
  local text=${3#"${3%%[![:blank:]]*}"}
  if [[ $text =~ ^(why|cost|kernel):[[:blank:]]+(.+)$ ]]; then
    REMARK=${BASH_REMATCH[1]} text=${BASH_REMATCH[2]}
  elif [[ $text =~ ^[a-z]+: || ! ${REMARK:-} ]]; then
    wrong "$1" "\"$text\": why:, cost: and kernel: are allowed below a setting"
  fi
  case $REMARK in
    why) P_WHY[$2]+=${P_WHY[$2]:+ }$text ;;
    cost) P_COST[$2]+=${P_COST[$2]:+ }$text ;;
    kernel) P_KERNEL[$2]+=${P_KERNEL[$2]:+ }$text ;;
  esac
}

# read_setting LINE AT TEXT
read_setting() {
  local -a words
  local title=
  read -r -a words <<<"$3"
  REMARK=
  if [[ ${words[0]} == ethtool ]]; then
    title='ethtool '
    words=("${words[@]:1}")
  fi
  local kind=${words[0]:-} key=${words[1]:-} op=${words[2]:-} value="${words[*]:3}"
  if [[ ! $kind || ! ${KINDS[$kind]+known} || ($title && ! $kind =~ ^(rings|coalesce|feature|hash|rss|ntuple)$) ||
    (! $title && $kind =~ ^(rings|coalesce|feature|hash|rss|ntuple)$) ]]; then
    wrong "$1" "\"$3\": no such kind; sysctl, thp, governor, limit, serve, sysfs, rps, xps, irq and ethtool rings, coalesce, feature, hash, rss, ntuple are known"
  fi
  if [[ ($op != '=' && $op != '>=') || ! $value ]]; then
    wrong "$1" "\"$3\": expected KIND KEY = VALUE, or >= for at least"
  fi
  value=${value//\$CORES/$CORES}
  value=${value//\$WORKERS/$WORKERS}
  value=${value//\$PORT/$PORT}
  WRONG=
  if ! "check_$kind" "$key" "$op" "$value"; then wrong "$1" "$WRONG"; fi
  P_KIND[$2]=$kind P_KEY[$2]=$key P_OP[$2]=$op P_VALUE[$2]=$value P_LINE[$2]=$1
  P_TITLE[$2]="$title$kind $key" P_WHY[$2]='' P_COST[$2]='' P_KERNEL[$2]=''
}
