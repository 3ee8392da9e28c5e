#!/usr/bin/env bash
# First program below tini, in network, mount, UTS, IPC and PID namespaces of its own: virtlogd and libvirtd, each started
# again when it ends. daemon-init.sh FOLDER NAME: all that they would keep on disk, and their socket, is in FOLDER.
set -euo pipefail
folder=$1 name=$2

hostname "$name"
# Apart from the machine, and shared within: libvirt hands mounts on to the namespaces of its QEMUs.
mount --make-rprivate /
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/libvirt /run/lock /run/small
for path in etc/libvirt var/lib/libvirt var/cache/libvirt var/log/libvirt; do
  mkdir -p "$folder/$path" "/$path"
  mount --bind "$folder/$path" "/$path"
done
# A file system that fills up at once, for disks that shall fail.
mount -t tmpfs -o size=2m tmpfs /run/small
# Guests are emulated here, also where there is KVM: libvirt's probes of a KVM that does not work take a minute.
if [ -e /dev/kvm ]; then
  : >/run/no-kvm
  mount --bind /run/no-kvm /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi
ip link set lo up

supervise() {
  while true; do
    "$1" >>"/var/log/libvirt/$1.out" 2>&1 &
    echo $! >"/run/$1.pid"
    wait $! || true
    sleep 0.2
  done
}
supervise virtlogd &
supervise libvirtd &
wait
