#!/usr/bin/env bash
# First program of a lab host, below tini, inside the host's own network, mount, UTS and PID namespaces.
# host-init.sh NAME DISK: NAME is the host's name; DISK is the folder that holds everything this host would keep on its disk.
set -euo pipefail
name=$1 disk=$2 here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

hostname "$name"
# Apart from the machine below, and shared within, as systemd leaves it: libvirt hands mounts on to the namespaces of its QEMUs.
mount --make-rprivate /
mount --make-rshared /
# A private /run as after a boot; the libvirt sockets in it are this host's own.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/lock
for path in etc/libvirt etc/weft var/lib/libvirt var/cache/libvirt var/log/libvirt var/lib/weft; do
  mkdir -p "$disk/$path" "/$path"
  mount --bind "$disk/$path" "/$path"
done
# Storage that all hosts of the lab mount.
for pool in "$disk"/../shared/*/; do
  [ -d "$pool" ] || continue
  path=/var/lib/weft/pools/$(basename "$pool")
  mkdir -p "$path"
  if [ -x "$disk/../forgetful" ]; then
    "$disk/../forgetful" "$pool" "$path" &
    until mountpoint -q "$path"; do kill -0 $!; sleep 0.05; done
  else
    mount --bind "$pool" "$path"
  fi
done
# Each boot of this host has its own boot id, as a real one would.
cat /proc/sys/kernel/random/uuid >/run/boot_id
mount --bind /run/boot_id /proc/sys/kernel/random/boot_id

# Where KVM does not run guests, libvirt's own probes of it would take a minute: such a host has none. libvirt asks whether
# it may write to the device; a read-only empty file answers no, and its times never change.
if [ "${WEFT_ACCELERATOR:-}" = tcg ] && [ -e /dev/kvm ]; then
  : >/run/no-kvm
  mount --bind /run/no-kvm /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi

ip link set lo up
# What a plug pulled from the running host left in its network namespace.
for link in $(ip -o link show type bridge | sed 's/^[0-9]*: \([^:@]*\).*/\1/'); do ip link delete "$link"; done

"$here/supervise.sh" /run/virtlogd-supervised.pid /var/log/libvirt/virtlogd.log virtlogd &
"$here/supervise.sh" /run/libvirtd-supervised.pid /var/log/libvirt/libvirtd.log libvirtd &
if [ -e /etc/weft/agent-command ]; then
  mapfile -t command </etc/weft/agent-command
  "$here/supervise.sh" /run/weft-agent.pid /var/lib/weft/agent.log "${command[@]}" &
fi
if [ -e /etc/weft/guard-command ]; then
  mapfile -t command </etc/weft/guard-command
  "$here/supervise.sh" /run/weft-guard.pid /var/lib/weft/guard.log "${command[@]}" &
fi
wait
