# limit and serve: what a profile says without changing anything on the machine.

# limit nofile|memlock >= N: limits of the command that `with` starts; memlock in KiB.
declare -rA LIMIT_FLAGS=([nofile]=-n [memlock]=-l)

check_limit() {
  if [[ ! ${LIMIT_FLAGS[$1]+known} || $2 != '>=' ]] || ! is_number "$3" 1 2147483584; then
    WRONG="limit $1 $2 $3: allowed is: limit nofile|memlock >= N (memlock in KiB)"
    return 1
  fi
}

expand_limit() { add_none "limit $1" "for \`with\`: $3"; }

# raise_limit NAME N: for this process and what it starts.
raise_limit() {
  local flag=${LIMIT_FLAGS[$1]} now
  now=$(ulimit -S "$flag")
  if [[ $now == unlimited ]] || ((now >= $2)); then return 0; fi
  if ! { ulimit -S "$flag" "$2" || ulimit "$flag" "$2"; } 2>/dev/null; then
    note "not offered: limit $1 >= $2: the hard limit is $(ulimit -H "$flag"); only CAP_SYS_RESOURCE may raise it"
    { ulimit -S "$flag" "$(ulimit -H "$flag")"; } 2>/dev/null || true
  fi
}

# serve --OPTION = VALUE: an option that redpkt serve should be given with this profile.
check_serve() {
  if [[ ! $1 =~ ^--[a-z]+(-[a-z]+)*$ || $2 != '=' || ! $3 =~ ^[A-Za-z0-9_.,:-]+$ ]]; then
    WRONG="serve $1 $2 $3: allowed is: serve --OPTION = VALUE"
    return 1
  fi
}

expand_serve() { add_none "serve $1" "give it to redpkt serve: $1 $3"; }
