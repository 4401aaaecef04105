#!/bin/sh
# Run every benchmark, or those named; each prints a table. Options go to each of them.
set -eu
cd "$(dirname -- "$0")/.."
names='' options=''
for word in "$@"; do
  case $word in
    -* | [0-9]*) options="$options $word" ;;
    *) names="$names $word" ;;
  esac
done
[ -n "$names" ] || names=$(cd benchmarks && ls -- *.py | grep -v '^_' | sed 's/\.py$//')
for name in $names; do
  # shellcheck disable=SC2086  # words, split on purpose
  PYTHONPATH=src:. .venv/bin/python -m "benchmarks.$name" $options
done
