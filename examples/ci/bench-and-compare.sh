#!/bin/sh
# Measures two checkouts in turns on the embedded stack and compares them.
#
#   usage: bench-and-compare.sh <base> <head> <reports>
#
# Each checkout has cosmos-pipe among its devDependencies, installed by npm ci. Exit codes are those of cosmos-pipe: 0 fine, 4 something was lost,
# duplicated or out of order, 99 a threshold was crossed or the head is slower than the base.
set -eu

base=${1:?folder of the base}
head=${2:?folder of the head}
reports=${3:?folder for the reports}
rounds=${ROUNDS:-3}
mkdir -p "$reports"

bench() {
  "$1/node_modules/.bin/cosmos-pipe" bench --local --quiet \
    --rate "${RATE:-2000/s}" --duration "${DURATION:-30s}" --warmup "${WARMUP:-3s}" --threshold "${THRESHOLD:-lost_events:count==0}" \
    --output "$reports/$2.json" > "$reports/$2.txt"
}

# In turns, so that a machine that gets slower or faster meanwhile favours neither side.
baselines=''
currents=''
round=1
while [ "$round" -le "$rounds" ]; do
  bench "$base" "base-$round"
  bench "$head" "head-$round"
  baselines="$baselines $reports/base-$round.json"
  currents="$currents $reports/head-$round.json"
  round=$((round + 1))
done

"$head/node_modules/.bin/cosmos-pipe" report "$reports/head-$rounds.json" \
  --output "$reports/head.html" --output "$reports/head.xml" > "$reports/head.txt"

# Medians of both sides, with what the rounds of one side differ by as noise.
# shellcheck disable=SC2086
"$head/node_modules/.bin/cosmos-pipe" compare $baselines $currents --current "$rounds" \
  --max-regression "${MAX_REGRESSION:-20%}"
