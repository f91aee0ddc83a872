# thp KEY = WORD: transparent huge pages, /sys/kernel/mm/transparent_hugepage.

readonly THP_DIR=/sys/kernel/mm/transparent_hugepage

check_thp() {
  local -a words
  case $1 in
    enabled) words=(always madvise never) ;;
    defrag) words=(always defer defer+madvise madvise never) ;;
    khugepaged/defrag) words=(0 1) ;;
    *)
      WRONG="thp $1: enabled, defrag and khugepaged/defrag are allowed"
      return 1
      ;;
  esac
  if [[ $2 != '=' ]] || ! is_word "$3" "${words[@]}"; then
    WRONG="thp $1 $2 $3: = and one of these is allowed: ${words[*]}"
    return 1
  fi
}

thp_driver() {
  case $1 in
    khugepaged/*) THP_DRIVER="file" ;;
    *) THP_DRIVER=choice ;;
  esac
}

expand_thp() {
  thp_driver "$1"
  add_op "thp $1" - "$THP_DRIVER" "$THP_DIR/$1" "$2" "$3"
}

dump_thp() {
  local key
  for key in enabled defrag khugepaged/defrag; do
    thp_driver "$key"
    dump_line "thp $key" - "$THP_DRIVER" "$THP_DIR/$key"
  done
}
