#!/bin/sh
# Measures two checkouts in turns on the embedded stack and compares them.
#
#   usage: bench-and-compare.sh <base> <head> <reports>
#
# Each checkout has cosmos-pipe among its devDependencies, installed by npm ci, and is measured with its own pipeline.yaml.
# Settings: RATE, DURATION, WARMUP, or SCENARIO instead; ROUNDS, MAX_REGRESSION, and THRESHOLD: one or several, with blanks
# between them. Exit codes are those of cosmos-pipe: 0 fine, 4 the head lost, duplicated or reordered something, 99 it crossed
# a threshold or is slower than the base. What is wrong with the base fails nothing: it may be what the head mends.
set -eu

base=$(cd "${1:?folder of the base}" && pwd)
head=$(cd "${2:?folder of the head}" && pwd)
mkdir -p "${3:?folder for the reports}"
reports=$(cd "$3" && pwd)
rounds=${ROUNDS:-3}
command=node_modules/.bin/cosmos-pipe

# bench <checkout> <report> [option...]: sets `code` to 0, 4 or 99, and ends the script when there was no run at all.
bench() {
  checkout=$1
  report=$2
  shift 2
  if [ -n "${SCENARIO:-}" ]; then
    set -- --scenario "$SCENARIO" ${DURATION:+--duration "$DURATION"} ${RATE:+--rate "$RATE"} "$@"
  else
    set -- --rate "${RATE:-2000/s}" --duration "${DURATION:-30s}" "$@"
  fi
  code=0
  # The step summary is for the comparison, not for every round.
  (cd "$checkout" && GITHUB_STEP_SUMMARY='' "./$command" bench --local --quiet ${WARMUP:+--warmup "$WARMUP"} "$@" \
    --output "$reports/$report.json" > "$reports/$report.txt") || code=$?
  case $code in
    0 | 4 | 99) ;;
    *) exit "$code" ;;
  esac
}

thresholds=''
for threshold in ${THRESHOLD:-lost_events:count==0}; do
  thresholds="$thresholds --threshold $threshold"
done

has_base=true
if [ ! -x "$base/$command" ]; then
  has_base=false
  echo 'the base has no cosmos-pipe: there is nothing to compare the head with' >&2
fi

# In turns, so that a machine that gets slower or faster meanwhile favours neither side.
finding=0
baselines=''
currents=''
round=1
shown="head-$round"
while [ "$round" -le "$rounds" ]; do
  if $has_base; then
    bench "$base" "base-$round"
    baselines="$baselines base-$round.json"
  fi
  # shellcheck disable=SC2086
  bench "$head" "head-$round" $thresholds
  currents="$currents head-$round.json"
  if [ "$code" -ne 0 ] && [ "$finding" -ne 4 ] && [ "$code" -ne "$finding" ]; then
    finding=$code
    shown="head-$round"
  fi
  round=$((round + 1))
done

cd "$reports"

# Medians of both sides, with what the rounds of one side differ by as noise.
if $has_base; then
  code=0
  # shellcheck disable=SC2086
  "$head/$command" compare $baselines $currents --current "$rounds" \
    --max-regression "${MAX_REGRESSION:-20%}" --output compare.md || code=$?
  if [ "$finding" -eq 0 ]; then finding=$code; fi
fi

# The first round with a finding, else the first one.
code=0
"$head/$command" report "$shown.json" --output head.html --output head.xml > head.txt || code=$?
case $code in
  0 | 4 | 99) exit "$finding" ;;
  *) exit "$code" ;;
esac
