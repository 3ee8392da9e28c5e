#!/bin/sh
# Sets one machine of the Vagrantfile up; what is there already stays as it is.
#   controller ADDRESS NETWORK DRIVER
#   host NAME CONTROLLER NETWORK PREFIX DRIVER
#   join NAME            with the token in /tmp/weft-join-token
set -eu

part=$1
packages=/tmp/weft-packages
san=/srv/weft/san
export DEBIAN_FRONTEND=noninteractive

# Debian's packages are in our own box already; another box fetches them.
install_packages() {
  apt-get install -y -q --no-install-recommends "$@" ||
    { apt-get update -q && apt-get install -y -q --no-install-recommends "$@"; }
}

keep_setup() {
  install -D -m 0755 /tmp/weft-vagrant.sh /opt/weft-setup/vagrant.sh
}

case "$part" in
  controller)
    address=$2 network=$3 driver=$4
    keep_setup
    install_packages nfs-kernel-server fence-agents openssh-client
    # Emulated hosts are not heard from for seconds while guests boot on them.
    options=''
    [ "$driver" = qemu ] && options='--down-after 30'
    [ -e /etc/default/weft-controller ] ||
      printf 'WEFT_ADDRESS=%s\nWEFT_OPTIONS=%s\n' "$address" "$options" >/etc/default/weft-controller
    install_packages "$packages"/weft-controller.deb "$packages"/weft.deb
    install -d -m 0755 "$san"
    # QEMU of a host locks a disk for its owner; agents give files to QEMU's user.
    printf '%s %s.0/24(rw,sync,no_root_squash,no_subtree_check)\n' "$san" "$network" >/etc/exports
    systemctl enable --now nfs-server.service
    exportfs -ra
    # The outer machine lets this key in, and destroys the domain that it names: fence_virsh.
    fence=/var/lib/weft/controller/secrets/fence
    install -d -m 0700 /var/lib/weft/controller/secrets "$fence"
    [ -e /etc/weft/fence/key ] || {
      install -d -m 0700 /etc/weft /etc/weft/fence
      ssh-keygen -q -t ed25519 -N '' -C weft-fence -f /etc/weft/fence/key
    }
    [ -e "$fence/outer-libvirt" ] || {
      umask 077
      printf '\nidentity_file=/etc/weft/fence/key\nip=%s.1\n' "$network" >"$fence/outer-libvirt"
    }
    ;;
  host)
    name=$2 controller=$3 network=$4 prefix=$5 driver=$6
    keep_setup
    install_packages nfs-common apparmor
    install -d -m 0755 /etc/weft /mnt/san
    grep -q /mnt/san /etc/fstab ||
      printf '%s:%s /mnt/san nfs4 hard,_netdev,noatime 0 0\n' "$controller" "$san" >>/etc/fstab
    mountpoint -q /mnt/san || mount /mnt/san
    install -d -m 0755 /mnt/san/weft
    cat >/etc/weft/agent.yaml <<YAML
name: $name
faultDomain: vagrant/room-1/rack-1/$name
pools:
  - {name: local, path: /var/lib/weft/pools/local}
  - {name: san, kind: shared, path: /mnt/san/weft}
fence:
  - {agent: fence_virsh, options: {ip: $network.1, ipport: "2222", username: root, plug: $prefix$name, power_wait: "0"}, secret: outer-libvirt}
YAML
    # The processor of an emulated machine has SVM, but runs the agent's probe guest in no dependable time.
    [ "$driver" != qemu ] || {
      install -d -m 0755 /etc/systemd/system/weft-agent.service.d
      printf '[Service]\nEnvironment=WEFT_ACCELERATOR=kvm\n' >/etc/systemd/system/weft-agent.service.d/emulated.conf
    }
    install_packages "$packages"/weft-agent.deb
    ;;
  join)
    name=$2
    install -m 0600 /tmp/weft-join-token /etc/weft/join-token
    rm -f /tmp/weft-join-token
    # The folder of a shared pool is made one on one host.
    [ "$name" != h1 ] || weft-agent --join-file /etc/weft/join-token --init-pool san
    systemctl restart weft-agent.service
    ;;
  *)
    echo "vagrant.sh: unknown part $part" >&2
    exit 2
    ;;
esac
