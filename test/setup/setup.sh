#!/usr/bin/env bash
# Installs what Weft's checkout needs, and nothing twice: Debian packages, npm packages, the libvirt binding.
# Prints what it installs and why. With --quiet it is silent when there is nothing to do.
# Root is needed only when packages are missing. WEFT_PACKAGES names one more list of packages.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

quiet=''
[ "${1:-}" = --quiet ] && quiet=yes
say() { printf 'set-up: %s\n' "$*" >&2; }
stop() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

# One set-up at a time; a second one waits for the first.
exec 9<package-lock.json
flock 9

policy_file=''
scripts=''
clean_up() {
  [ -z "$policy_file" ] || rm -f "$policy_file"
  [ -z "$scripts" ] || kill "$scripts" 2>/dev/null || true
}
trap clean_up EXIT

family=$(. /etc/os-release 2>/dev/null && echo " ${ID:-} ${ID_LIKE:-} ")
case "$family" in
  *' debian '* | *' ubuntu '*) ;;
  *) stop "this system is not Debian or Ubuntu; install the packages of test/setup/packages.txt by hand, then run: npm ci && npm run build -w agent/node-libvirt" ;;
esac

command -v node >/dev/null || stop 'Node.js 20 or newer is missing; install it first'
node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
  stop "Node.js $(node --version) is too old; 20 or newer is needed"

missing=()
while read -r package _; do
  case "$package" in '' | '#'*) continue ;; esac
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done < <(cat test/setup/packages.txt ${WEFT_PACKAGES:+"$WEFT_PACKAGES"})

if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || stop "these packages are missing and only root can install them: ${missing[*]} (run again with sudo)"
  say "installing Debian packages: ${missing[*]}"
  # Nothing that is installed here may start a service: Weft's lab starts its own.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    policy_file=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  log=$(mktemp)
  DEBIAN_FRONTEND=noninteractive apt-get update -q >"$log" 2>&1 || true
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >>"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; stop "apt-get could not install them; its log is $log"; }
  rm -f "$log"
fi

# node-gyp takes Node's headers from here instead of fetching them.
[ -d /usr/include/node ] && export npm_config_nodedir=/usr

stamp=$(cat package-lock.json agent/node-libvirt/package.json <(node -p process.versions.modules) | sha256sum | cut -d' ' -f1)
if [ "$(cat node_modules/.weft-stamp 2>/dev/null)" != "$stamp" ]; then
  say 'installing npm packages (npm ci); the first time compiles SQLite, about a minute'
  log=$(mktemp)
  npm ci --ignore-scripts --no-audit --no-fund >"$log" 2>&1 || { tail -n 30 "$log" >&2; stop "npm ci failed; its log is $log"; }
  rm -f "$log"
  # SQLite is one file, and takes one processor: what else is to be compiled is compiled meanwhile.
  scripts_log=$(mktemp)
  npm rebuild --no-audit --no-fund >"$scripts_log" 2>&1 9<&- &
  scripts=$!
fi
mkdir -p node_modules/.bin
ln -sfn ../../controller/cli/weft.mjs node_modules/.bin/weft

[ -d agent/node-libvirt/build ] || say 'compiling the binding to libvirt; about a minute'
log=$(mktemp)
npm run --silent build -w agent/node-libvirt >"$log" 2>&1 || { tail -n 30 "$log" >&2; stop "node-libvirt did not build; its log is $log"; }
rm -f "$log"

if [ -n "$scripts" ]; then
  wait "$scripts" || { scripts=''; tail -n 30 "$scripts_log" >&2; stop "npm rebuild failed; its log is $scripts_log"; }
  scripts=''
  rm -f "$scripts_log"
  printf '%s' "$stamp" >node_modules/.weft-stamp
fi

[ -n "$quiet" ] || say 'ready'
