#!/bin/sh
# Puts playwright-core, pinned by package-lock.json, beside this script; no browser.
set -eu
cd "$(dirname "$0")"

for tool in node npm; do
	command -v "$tool" >/dev/null || { echo "browser: $tool is missing" >&2; exit 1; }
done
if ! cmp -s package-lock.json node_modules/.installed; then
	npm ci --silent --ignore-scripts --no-audit --no-fund
	cp package-lock.json node_modules/.installed
fi
