#!/bin/sh
# Bring .venv up to date with uv.lock: "run" installs what serving needs, "develop" all.
set -eu
cd "$(dirname -- "$0")/.."
purpose=${1:-develop}
stamp=.venv/.made-from

wanted=$(cat uv.lock pyproject.toml | cksum | tr ' ' '-')
if [ -f "$stamp" ] && .venv/bin/python -c '' 2>/dev/null; then
  case "$purpose $(cat "$stamp")" in
    "run run $wanted" | "run develop $wanted" | "develop develop $wanted") exit 0 ;;
  esac
fi

fits() {
  "$1" -c 'import sys; assert sys.version_info >= (3, 12) and sys.implementation.name == "cpython"' 2>/dev/null
}

# A version manager's shim may be on the PATH and not run; so each is tried.
find_python() {
  for name in python3.12 python3.13 python3.14 python3; do
    if path=$(command -v "$name") && fits "$path"; then
      echo "$path"
      return
    fi
  done
  for folder in "${PYENV_ROOT:-$HOME/.pyenv}" "$HOME/.pyenv"; do
    for path in "$folder"/versions/3.1[2-9]*/bin/python3; do
      if [ -x "$path" ] && fits "$path"; then
        echo "$path"
        return
      fi
    done
  done
}

if [ -z "${UV_PYTHON:-}" ]; then
  found=$(find_python)
  if [ -n "$found" ]; then
    export UV_PYTHON="$found"
  else
    echo "Python: none of 3.12 or newer found; uv downloads one (or name yours: UV_PYTHON=/path/to/python3)"
    export UV_PYTHON=3.12
  fi
fi

if [ ! -w "${HOME:-/nonexistent}" ] && [ -z "${UV_CACHE_DIR:-}" ]; then
  export UV_CACHE_DIR="$PWD/.cache/uv-downloads"
fi

# Another environment that happens to be active is not ours to fill.
unset VIRTUAL_ENV
if [ "$purpose" = run ]; then
  echo "Installing the packages of uv.lock into .venv (the first time takes a minute)"
  sh scripts/uv.sh sync --quiet --frozen --all-extras --no-default-groups --inexact
else
  echo "Installing the packages of uv.lock into .venv, those for tests and checks too"
  sh scripts/uv.sh sync --quiet --frozen --all-extras
fi
echo "$purpose $wanted" > "$stamp"
