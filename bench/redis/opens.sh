#!/bin/sh
# Durable opens beside Redis, in turn on one machine: `redpkt-bench opens`, and Redis that syncs its log to the disk
# before every answer (appendonly yes, appendfsync always) and runs grab.lua, asked by redis-benchmark with as many
# requests on their way. Prints both rates of each pair, and the spread of their ratios.
set -eu

usage() {
    cat <<'USAGE'
Usage: bench/redis/opens.sh [--pairs N] [--packets N] [--bench FILE] [-- OPTIONS OF redpkt-bench opens]
  --pairs N     how often both are measured, in turn [default: 5]
  --packets N   packets that are opened each time [default: 500000]
  --bench FILE  redpkt-bench [default: target/release/redpkt-bench]
Both keep their files in a new directory in $TMPDIR, else /tmp; let that be on the disk that is meant.
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
pairs=5
packets=500000
bench=${CARGO_TARGET_DIR:-$here/../../target}/release/redpkt-bench
while [ $# -gt 0 ]; do
    case $1 in
        --pairs) pairs=$2; shift 2 ;;
        --packets) packets=$2; shift 2 ;;
        --bench) bench=$2; shift 2 ;;
        --) shift; break ;;
        -h | --help) usage; exit 0 ;;
        *) echo "opens.sh: $1: there is no such option" >&2; usage >&2; exit 2 ;;
    esac
done

for program in redis-server redis-cli redis-benchmark; do
    if ! command -v "$program" > /dev/null; then
        echo "opens.sh: $program is not here; install Redis first: apt-get install redis-server (Debian, Ubuntu)" >&2
        exit 2
    fi
done
if [ ! -x "$bench" ]; then
    echo "opens.sh: $bench is not here; build it first: cargo build --release -p redpkt-bench, or name it by --bench" >&2
    exit 2
fi

dir=$(mktemp -d "${TMPDIR:-/tmp}/redpkt-redis-XXXXXX")
server=
stop_redis() {
    if [ -n "$server" ]; then
        kill "$server" 2> /dev/null || true
        wait "$server" 2> /dev/null || true
        server=
    fi
}
trap 'stop_redis; rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM HUP

# Over loopback, as redpkt.
port=$((20000 + $$ % 12000))
cli() { redis-cli -p "$port" "$@"; }

redis_rate() {
    rm -rf "$dir/data"
    mkdir "$dir/data"
    redis-server --port "$port" --bind 127.0.0.1 --dir "$dir/data" --save '' --appendonly yes --appendfsync always \
        --auto-aof-rewrite-percentage 0 --daemonize no > "$dir/redis.log" 2>&1 &
    server=$!
    tries=0
    # Its own process id: another server that has this port would answer too.
    until cli info server 2> /dev/null | grep -q "^process_id:$server"; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            echo "opens.sh: redis-server does not answer:" >&2
            tail -5 "$dir/redis.log" >&2
            exit 3
        fi
        sleep 0.05
    done
    cli eval "for i = 1, $packets do redis.call('RPUSH', 'pool', math.random(200)) end" 0 > /dev/null
    sha=$(cli script load "$(cat "$here/grab.lua")")
    rps=$(redis-benchmark -p "$port" -n "$packets" -c 256 -P 16 -r 1000000000 --csv \
        evalsha "$sha" 0 user:__rand_int__ | tail -1 | cut -d, -f2 | tr -d '"')
    taken=$(cli hlen taken)
    left=$(cli llen pool)
    synced=$(cli config get appendfsync | tail -1)
    stop_redis
    if [ "$((taken + left))" -ne "$packets" ] || [ "$synced" != always ]; then
        echo "opens.sh: Redis granted $taken, $left are left of $packets, appendfsync $synced" >&2
        exit 1
    fi
    # A user drawn twice gets what he had: that is no other grant.
    awk -v rps="$rps" -v taken="$taken" -v all="$packets" 'BEGIN { printf "%.0f\n", rps * taken / all }'
}

redpkt_rate() {
    "$bench" opens --quiet --packets "$packets" --json "$dir/opens.json" "$@" > "$dir/opens.txt" 2>&1 || {
        echo "opens.sh: redpkt-bench opens failed:" >&2
        cat "$dir/opens.txt" >&2
        exit 1
    }
    awk -F'[:,]' '/"opens_per_s"/ { printf "%.0f\n", $2 }' "$dir/opens.json"
}

echo "$pairs pairs of $packets opens, Redis $(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/'), files in ${TMPDIR:-/tmp}"
pair=1
while [ $pair -le "$pairs" ]; do
    # Who comes first changes, so that neither always has the disk that the other has left.
    if [ $((pair % 2)) -eq 1 ]; then
        redis=$(redis_rate)
        redpkt=$(redpkt_rate "$@")
    else
        redpkt=$(redpkt_rate "$@")
        redis=$(redis_rate)
    fi
    echo "$redis $redpkt" >> "$dir/pairs"
    awk -v pair=$pair -v redis="$redis" -v redpkt="$redpkt" \
        'BEGIN { printf "pair %d: Redis %d grants/s, redpkt %d opens/s, ratio %.2f\n", pair, redis, redpkt, redpkt / redis }'
    pair=$((pair + 1))
done

spread() {
    sort -n | awk -v what="$1" -v digits="$2" '{ value[NR] = $1 } END {
        median = NR % 2 ? value[(NR + 1) / 2] : (value[NR / 2] + value[NR / 2 + 1]) / 2
        printf "%-8s min %.*f  median %.*f  max %.*f\n", what, digits, value[1], digits, median, digits, value[NR]
    }'
}
awk '{ print $1 }' "$dir/pairs" | spread Redis 0
awk '{ print $2 }' "$dir/pairs" | spread redpkt 0
awk '{ print $2 / $1 }' "$dir/pairs" | spread ratio 2
