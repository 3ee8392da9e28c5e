#!/usr/bin/env bash
# run.sh [--quiet] [--FLAG…] FILE [ARGUMENT…]: set-up, then a TypeScript program of this checkout, with these flags of Node's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
quiet=()
if [ "${1:-}" = --quiet ]; then quiet=(--quiet); shift; fi
"$here/setup.sh" "${quiet[@]}"
flags=()
while [[ ${1:-} == --* ]]; do flags+=("$1"); shift; done
file=$1; shift
exec node "${flags[@]}" --import "$here/../../node_modules/tsx/dist/esm/index.mjs" "$here/../../$file" "$@"
