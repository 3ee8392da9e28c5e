#!/usr/bin/env bash
# run.sh [--quiet] FILE [ARGUMENT…]: set-up, then a TypeScript program of this checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
quiet=()
if [ "${1:-}" = --quiet ]; then quiet=(--quiet); shift; fi
"$here/setup.sh" "${quiet[@]}"
file=$1; shift
exec node --import "$here/../../node_modules/tsx/dist/esm/index.mjs" "$here/../../$file" "$@"
