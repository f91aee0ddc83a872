# Checks and forms of values: numbers, words, lists of cores, masks of cores.

# is_number TEXT MIN MAX: a whole number within the range, without sign or leading zeros.
is_number() {
  [[ $1 =~ ^(0|[1-9][0-9]{0,17})$ ]] && (($1 >= $2 && $1 <= $3))
}

# is_word TEXT WORD...: whether it is one of the words.
is_word() {
  local word
  for word in "${@:2}"; do
    if [[ $1 == "$word" ]]; then return 0; fi
  done
  return 1
}

readonly CORE_MAX=8191

# cores_of LIST: sets CORES_OF to the cores of a list such as 0,2-5. Fails if it is none.
cores_of() {
  local part first last
  CORES_OF=()
  [[ $1 =~ ^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$ ]] || return 1
  local -a parts
  IFS=, read -r -a parts <<<"$1"
  for part in "${parts[@]}"; do
    first=${part%-*} last=${part#*-}
    is_number "$first" 0 "$CORE_MAX" && is_number "$last" "$first" "$CORE_MAX" || return 1
    for ((; first <= last; first++)); do CORES_OF+=("$first"); done
  done
}

# mask_of CORE...: sets MASK_OF to the mask of these cores as the kernel reads it: words of 32 bits in hex, the
# highest first. No leading zeros: more bits than the machine has cores are refused.
mask_of() {
  local -a words=()
  local core word top=0
  for core in "$@"; do
    word=$((core / 32))
    words[word]=$((${words[word]:-0} | 1 << core % 32))
    if ((word > top)); then top=$word; fi
  done
  printf -v MASK_OF '%x' "${words[top]:-0}"
  for ((word = top - 1; word >= 0; word--)); do
    printf -v MASK_OF '%s,%08x' "$MASK_OF" "${words[word]:-0}"
  done
}

# raise NOW LEAST: sets RAISED to the larger of each pair of numbers.
raise() {
  local -a is least
  local at
  read -r -a is <<<"$1"
  read -r -a least <<<"$2"
  for at in "${!least[@]}"; do
    if [[ ${is[at]:-} =~ ^[0-9]{19,}$ ]] || ((${is[at]:-0} > least[at])); then least[at]=${is[at]}; fi
  done
  RAISED="${least[*]}"
}
