#!/bin/sh
# Have Chromium for the browser tests; where there is none, they skip and say why.
set -eu
for name in chromium chromium-browser google-chrome google-chrome-stable; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "chromium: not found, so the browser tests skip (on Debian: sudo apt-get install chromium)"
  exit 0
fi
echo "chromium: not found; installing the Debian package for the browser tests"
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null 2>&1; }
install || { apt-get update -qq </dev/null >/dev/null 2>&1 && install; } ||
  echo "chromium: could not be installed, so the browser tests skip"
