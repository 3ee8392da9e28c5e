#!/usr/bin/env bash
# ceph.sh FILE [ARGUMENT…]: set-up with the packages of a small Ceph cluster as well, then a TypeScript program of this checkout.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WEFT_PACKAGES="$here/packages-ceph.txt" exec "$here/run.sh" --quiet "$@"
