import { SEED_NETWORK } from '../seed-network.ts';

/** Text files of the tiny guest, path → content. Programs get mode 0755. */

const INITTAB = `::sysinit:/etc/init.d/boot
::respawn:/bin/dropbear -F -s -m -W 131072 -r /etc/dropbear/host_key
::once:/etc/init.d/later
ttyS0::respawn:-/bin/sh
::ctrlaltdel:/bin/reboot
::shutdown:/bin/sync
::shutdown:/bin/umount -a -r
`;

/** Everything before SSH: each process counts, so values are read by the shell itself. */
const BOOT = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mkdir -p /dev/pts
mount -t devpts -o mode=0620,gid=5 devpts /dev/pts
mount -t tmpfs -o mode=0755 tmpfs /run
. /etc/init.d/seed
`;

/**
 * OpenSSH's private key file to dropbear's. An unencrypted ed25519 key lies at fixed offsets in the former, and picking
 * two ranges out is far quicker on an emulated processor than dropbearconvert, which stays for every other key.
 * Layouts: https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key and dropbear's ed25519.c.
 */
const CONVERT_HOST_KEY = `convert_host_key() {
  case $(sed '/^-/d' "$1" | base64 -d >/run/key; dd if=/run/key bs=1 skip=106 count=15 2>/dev/null) in
    *ssh-ed25519)
      { dd if=/run/key bs=1 skip=106 count=15; dd if=/run/key bs=1 skip=157 count=68; } >"$2.new" 2>/dev/null ;;
    *) dropbearconvert openssh dropbear "$1" "$2.new" 2>/dev/null ;;
  esac
  rm -f /run/key
  [ -s "$2.new" ] && mv "$2.new" "$2"
}
`;

/**
 * Reads the NoCloud seed. Our own seeds carry ready-made files under weft/; of anyone else's, the host name and the
 * authorized keys are taken as far as a shell can read them, and the network comes by DHCP.
 */
const SEED = `${CONVERT_HOST_KEY}seed=/run/seed
mkdir -p $seed
for device in /dev/vdb /dev/sr0; do
  [ -b $device ] && mount -t iso9660 -o ro $device $seed 2>/dev/null && break
done

${SEED_NETWORK}if [ -n "$address" ] && [ -n "$prefix" ]; then
  [ -n "$dns" ] && echo "nameserver $dns" >/etc/resolv.conf
else
  ip link set "$interface" up
  udhcpc -b -q -t 3 -T 1 -i "$interface" -s /etc/udhcpc.script >/dev/null 2>&1 &
fi

if [ -f $seed/weft/hostname ]; then
  read -r name <$seed/weft/hostname
  echo "$name" >/proc/sys/kernel/hostname
  echo "$name" >/etc/hostname
  printf '127.0.0.1 localhost\\n127.0.1.1 %s\\n' "$name" >/etc/hosts
elif [ -f $seed/meta-data ]; then
  name=$(sed -n 's/^[" ]*local-hostname"*: *"*\\([A-Za-z0-9.-]*\\).*/\\1/p' $seed/meta-data)
  [ -n "$name" ] && echo "$name" >/proc/sys/kernel/hostname
fi

if [ -f $seed/weft/authorized_keys ]; then
  while read -r line; do echo "$line"; done <$seed/weft/authorized_keys >/root/.ssh/authorized_keys
elif [ -f $seed/user-data ]; then
  sed -n 's/^ *- *"*\\(\\(ssh\\|ecdsa\\)-[^"]*\\)"*$/\\1/p' $seed/user-data >/root/.ssh/authorized_keys
fi

if [ -f $seed/weft/host_ed25519 ]; then
  # Converted once: the original stays beside it, to see whether the seed has another key now.
  if ! cmp -s $seed/weft/host_ed25519 /etc/dropbear/host_key.openssh; then
    umask 077
    convert_host_key $seed/weft/host_ed25519 /etc/dropbear/host_key &&
      cp $seed/weft/host_ed25519 /etc/dropbear/host_key.openssh
    umask 022
  fi
elif [ ! -f /etc/dropbear/host_key ]; then
  dropbearkey -t ed25519 -f /etc/dropbear/host_key >/dev/null 2>&1
fi
umount $seed 2>/dev/null
`;

/**
 * Not needed for SSH, and a second later so as not to delay it: the power button, entropy, and the file system grown to its disk.
 * @param disk name of its device, for a shell.
 */
export const later = (disk: string) => `#!/bin/sh
sleep 1
for module in /lib/modules/later/*; do insmod $module 2>/dev/null; done
acpid -c /etc/acpi -l /dev/null -p /run/acpid.pid
read -r sectors </sys/class/block/${disk}/size
known=''
[ -f /var/lib/weft/disk-sectors ] && read -r known </var/lib/weft/disk-sectors
if [ "$sectors" != "$known" ]; then
  resize2fs /dev/${disk} >/dev/null 2>&1 && echo "$sectors" >/var/lib/weft/disk-sectors
fi
`;

const UDHCPC = `#!/bin/sh
[ "$1" = bound ] || [ "$1" = renew ] || exit 0
ip addr flush dev "$interface"
ip addr add "$ip/$mask" dev "$interface"
[ -n "$router" ] && ip route replace default via "\${router%% *}"
: >/etc/resolv.conf
for server in $dns; do echo "nameserver $server" >>/etc/resolv.conf; done
`;

export const TINY_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ['etc/init.d/boot', BOOT],
  ['etc/init.d/seed', SEED],
  ['etc/init.d/later', later('vda')],
  ['etc/udhcpc.script', UDHCPC],
  ['etc/acpi/PWRF/00000080', '#!/bin/sh\npoweroff\n'],
]);

export const TINY_TEXTS: ReadonlyMap<string, string> = new Map([
  ['etc/inittab', INITTAB],
  ['etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'],
  ['etc/group', 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n'],
  ['etc/shadow', 'root:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\n'],
  ['etc/shells', '/bin/sh\n'],
  ['etc/profile', 'export PATH=/usr/sbin:/usr/bin:/sbin:/bin\nexport PS1="\\h:\\w# "\n'],
  ['etc/hosts', '127.0.0.1 localhost\n'],
  ['etc/hostname', 'tiny\n'],
  ['etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'],
  ['etc/os-release', 'ID=weft-tiny\nPRETTY_NAME="Weft tiny"\n'],
]);
