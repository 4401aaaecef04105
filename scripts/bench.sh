#!/bin/sh
# Run every benchmark, or those named; each prints a table.
set -eu
cd "$(dirname -- "$0")/.."
[ $# -gt 0 ] || set -- $(cd benchmarks && ls -- *.py | grep -v '^_' | sed 's/\.py$//')
for name in "$@"; do
  PYTHONPATH=src:. .venv/bin/python -m "benchmarks.$name"
done
