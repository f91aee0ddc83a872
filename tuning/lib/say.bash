# What is said: one line an error, tables with even columns.

# fail CODE TEXT: ends the command. 2: what the user wrote is wrong; 3: the machine refused. What is quoted may be any
# file's bytes; none of them is to control a terminal.
fail() {
  printf 'tune: %s\n' "${2//[[:cntrl:]]/?}" >&2
  exit "$1"
}

# note TEXT: something worth knowing that stops nothing.
note() {
  printf 'tune: %s\n' "$1" >&2
}

# Width of the first three columns, as wide as what was measured.
declare -a COLUMN_WIDTH=(7 3 3)

# measure A B C: makes room for a row that will be printed.
measure() {
  local column text
  for column in 0 1 2; do
    text=${*:column+1:1}
    if ((${#text} > COLUMN_WIDTH[column])); then COLUMN_WIDTH[column]=${#text}; fi
  done
}

# row A B C D: one line of the table, without blanks at its end.
row() {
  local line
  printf -v line '%-*s  %-*s  %-*s  %s' "${COLUMN_WIDTH[0]}" "$1" "${COLUMN_WIDTH[1]}" "$2" "${COLUMN_WIDTH[2]}" "$3" "$4"
  printf '%s\n' "${line%"${line##*[! ]}"}"
}
