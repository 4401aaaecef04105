#!/bin/sh
# Run uv: the one on the PATH, else one that pip puts into a private folder here.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
private=$here/.cache/uv

runs() { "$@" >/dev/null 2>&1; }

if runs uv --version; then exec uv "$@"; fi
for uv in "$private/bin/uv"; do
  if runs "$uv" --version; then exec "$uv" "$@"; fi
done

for python in python3 /usr/bin/python3 python python3.14 python3.13 python3.12; do
  runs "$python" -c 'import sys; assert sys.version_info >= (3, 8)' || continue
  echo "uv: not found; installing it with pip into .cache/uv" >&2
  mkdir -p "$here/.cache"
  rm -rf "$private"
  # A Debian Python may lack ensurepip, and so venv; its pip can still fill a folder.
  if runs "$python" -m venv "$private"; then
    "$private/bin/python" -m pip install --quiet --disable-pip-version-check uv >&2
  else
    rm -rf "$private"
    "$python" -m pip install --quiet --disable-pip-version-check --target "$private" uv >&2
  fi || break
  exec "$private/bin/uv" "$@"
done
echo "uv: not found, and no Python here could install it with pip." >&2
echo "    Install uv (https://docs.astral.sh/uv/), or on Debian: apt-get install python3-venv" >&2
exit 1
