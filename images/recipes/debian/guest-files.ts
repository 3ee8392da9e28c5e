import { SEED_NETWORK } from '../seed-network.ts';

/** Files of our own in the Debian image, path → content. */

/**
 * Reads our NoCloud seed in the initial RAM disk, where a shell costs an emulated processor a tenth of what it costs below
 * systemd; the disk is mounted at /root. A seed without weft/ is left to cloud-init. Keys of the seed replace the disk's
 * at each boot.
 */
export const DEBIAN_SEED_SCRIPT = `take_seed() {
  seed=/seed-disk to=/root
  for device in /dev/vdb /dev/sr0; do
    [ -b $device ] && mount -t iso9660 -o ro $device $seed && break
  done
  if [ ! -d $seed/weft ]; then
    umount $seed
    return
  fi
  mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs $to/run
  mkdir -p $to/run/weft $to/run/sshd $to/root/.ssh
  : >$to/run/weft/seed

${SEED_NETWORK}  if [ -n "$dns" ]; then
    rm -f $to/etc/resolv.conf
    echo "nameserver $dns" >$to/etc/resolv.conf
  fi

  if [ -f $seed/weft/hostname ]; then
    read -r name <$seed/weft/hostname
    echo "$name" >$to/etc/hostname
    printf '127.0.0.1 localhost\\n127.0.1.1 %s\\n::1 localhost\\n' "$name" >$to/etc/hosts
  fi
  umask 077
  [ -f $seed/weft/authorized_keys ] && cat $seed/weft/authorized_keys >$to/root/.ssh/authorized_keys
  [ -f $seed/weft/host_ed25519 ] && cat $seed/weft/host_ed25519 >$to/etc/ssh/ssh_host_ed25519_key
  umask 022
  umount $seed
}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
take_seed 2>/dev/null
umount /proc /sys
`;

/**
 * sshd for our own seeds: it starts first, because its keys and the network are there already, and what is not needed for
 * it waits. Without a self-test at each start, and without PAM, whose modules do nothing for root with a key.
 */
const SSH_SERVICE = `[Unit]
Description=OpenSSH server of a Weft guest
ConditionPathExists=/run/weft/seed
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=notify
ExecStart=/usr/sbin/sshd -D -o UsePAM=no
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
Restart=on-failure
RuntimeDirectory=sshd
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes

[Install]
WantedBy=sysinit.target
`;

const AFTER_SSH = `[Unit]
After=weft-ssh.service
`;

const GROW_SERVICE = `[Unit]
Description=Grow the file system to its disk
After=weft-ssh.service ssh.service

[Service]
Type=oneshot
Nice=10
ExecStart=/usr/lib/weft/grow

[Install]
WantedBy=multi-user.target
`;

const GROW = `#!/bin/sh
read -r sectors </sys/class/block/vda/size
known=''
[ -f /var/lib/weft/disk-sectors ] && read -r known </var/lib/weft/disk-sectors
[ "$sectors" = "$known" ] || { resize2fs /dev/vda && echo "$sectors" >/var/lib/weft/disk-sectors; }
`;

/** These are for seeds that are not ours. */
const UNLESS_OURS = `[Unit]
ConditionPathExists=!/run/weft/seed
`;

const CONSOLE_DROP_IN = `[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 - $TERM
`;

const SSHD = `UseDNS no
PrintMotd no
PasswordAuthentication no
PermitRootLogin prohibit-password
HostKey /etc/ssh/ssh_host_ed25519_key
`;

const CLOUD = `datasource_list: [NoCloud, None]
disable_root: false
locale: C.UTF-8
system_info:
  default_user: {name: root, lock_passwd: false}
  network: {renderers: [networkd]}
`;

export const FOR_OTHER_SEEDS = [
  'cloud-init-local.service',
  'cloud-init.service',
  'cloud-config.service',
  'cloud-final.service',
  'ssh.service',
  'systemd-networkd.service',
  'systemd-networkd.socket',
  'systemd-networkd-wait-online.service',
  'systemd-resolved.service',
] as const;

export const DEBIAN_PROGRAMS: ReadonlyMap<string, string> = new Map([['usr/lib/weft/grow', GROW]]);

export const DEBIAN_TEXTS: ReadonlyMap<string, string> = new Map([
  ['etc/systemd/system/weft-ssh.service', SSH_SERVICE],
  ['etc/systemd/system/weft-grow.service', GROW_SERVICE],
  ['etc/systemd/system/systemd-udevd.service.d/weft.conf', AFTER_SSH],
  ['etc/systemd/system/systemd-udev-trigger.service.d/weft.conf', AFTER_SSH],
  // Nothing is cleared at boot: SSH may be there before.
  ['etc/tmpfiles.d/tmp.conf', 'd /tmp 1777 root root -\nd /var/tmp 1777 root root 30d\n'],
  ['etc/systemd/system/serial-getty@ttyS0.service.d/weft.conf', CONSOLE_DROP_IN],
  ['etc/systemd/journald.conf.d/weft.conf', '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n'],
  ['etc/systemd/system.conf.d/weft.conf', '[Manager]\nDefaultTimeoutStopSec=10s\n'],
  ['etc/ssh/sshd_config.d/weft.conf', SSHD],
  ['etc/cloud/cloud.cfg.d/90-weft.cfg', CLOUD],
  ['etc/acpi/events/power', 'event=button/power.*\naction=/bin/systemctl poweroff\n'],
  ['etc/machine-id', ''],
  ['etc/hostname', 'debian\n'],
  ...FOR_OTHER_SEEDS.map((unit): [string, string] => [`etc/systemd/system/${unit}.d/weft.conf`, UNLESS_OURS]),
]);
