#!/bin/sh
# Puts the HTTP cache tests and what they need beside this script: the suite
# into suite/, its libraries into node_modules/. Both are pinned by checksum, and
# neither is fetched again while it is there. A failure is an error, not a skip.
set -eu
cd "$(dirname "$0")"

name=http-cache-tests version=0.4.5
# sha512 of the package as npm serves it, base64 as in a lock file.
want='DjuwN9nUZXLTW+wav1LRESCZNVxl8SshwOy4z1pxuWbWt5/ay6sM9QQ1lebBaDO6P1IMBoK6mdf+PuVP/QNL8A=='

fail() { echo "conformance: $*" >&2; exit 1; }

for tool in node npm tar; do
	command -v "$tool" >/dev/null || fail "$tool is missing; the suite needs node 20 with npm, and tar"
done

if [ "$(cat suite/.installed 2>/dev/null || true)" != "$version" ]; then
	tmp=$(mktemp -d ./.suite.XXXXXX)
	trap 'rm -rf "$tmp"' EXIT
	# npm pack, not npm install: the suite lists npm itself among its dependencies.
	npm pack --silent --pack-destination "$tmp" "$name@$version" >/dev/null ||
		fail "npm pack $name@$version: npm could not fetch it (no network, no registry?)"
	got=$(node -e 'const c = require("crypto"), fs = require("fs")
		console.log(c.createHash("sha512").update(fs.readFileSync(process.argv[1])).digest("base64"))' \
		"$tmp/$name-$version.tgz")
	[ "$got" = "$want" ] || fail "$name@$version: checksum $got, want $want"
	tar -xzf "$tmp/$name-$version.tgz" -C "$tmp"
	printf '%s\n' "$version" >"$tmp/package/.installed"
	rm -rf suite
	mv "$tmp/package" suite
fi

if ! cmp -s package-lock.json node_modules/.installed; then
	npm ci --silent --ignore-scripts --no-audit --no-fund ||
		fail "npm ci: npm could not install the libraries of package-lock.json"
	cp package-lock.json node_modules/.installed
fi
