/** Debian packages of the box: what hosts and controller run with, so that a machine needs no network to be provisioned. */
export const PACKAGES = [
  ...['systemd-sysv', 'udev', 'dbus', 'openssh-server', 'openssh-client', 'sudo', 'rsync', 'ca-certificates'],
  ...['linux-image-amd64', 'initramfs-tools', 'zstd', 'kmod', 'procps', 'ifupdown', 'isc-dhcp-client'],
  ...['iproute2', 'iputils-ping', 'e2fsprogs', 'apparmor', 'apparmor-utils'],
  ...['libvirt-daemon-system', 'libvirt-clients', 'qemu-system-x86', 'qemu-utils', 'qemu-block-extra'],
  ...['dnsmasq-base', 'nftables', 'genisoimage', 'nfs-common', 'nfs-kernel-server', 'fence-agents'],
] as const;

export const ROOT_LABEL = 'weft-host';

/** The key that Vagrant replaces when it first sees a machine: https://github.com/hashicorp/vagrant/tree/main/keys */
const VAGRANT_KEY =
  'ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key\n';

const GRUB = `set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
menuentry debian {
  search --no-floppy --label --set=root ${ROOT_LABEL}
  linux /vmlinuz root=LABEL=${ROOT_LABEL} ro console=ttyS0,115200 net.ifnames=0 quiet
  initrd /initrd.img
}
`;

const INTERFACES = `auto lo
iface lo inet loopback

allow-hotplug eth0
iface eth0 inet dhcp
`;

/** Keys of a machine's own, made at its first start. */
const SSH_KEYS = `[Service]
ExecStartPre=
ExecStartPre=/usr/bin/ssh-keygen -A
ExecStartPre=/usr/sbin/sshd -t
`;

/** Path → content and mode. */
export const FILES: ReadonlyMap<string, readonly [text: string, mode: number]> = new Map([
  ['boot/grub/grub.cfg', [GRUB, 0o644]],
  ['etc/fstab', [`LABEL=${ROOT_LABEL} / ext4 rw,errors=remount-ro 0 1\n`, 0o644]],
  ['etc/hostname', ['weft-host\n', 0o644]],
  ['etc/machine-id', ['', 0o444]],
  ['etc/network/interfaces', [INTERFACES, 0o644]],
  ['etc/sudoers.d/vagrant', ['vagrant ALL=(ALL) NOPASSWD: ALL\n', 0o440]],
  ['etc/ssh/sshd_config.d/vagrant.conf', ['UseDNS no\nPasswordAuthentication no\n', 0o644]],
  ['etc/systemd/system/ssh.service.d/keys.conf', [SSH_KEYS, 0o644]],
  ['home/vagrant/.ssh/authorized_keys', [VAGRANT_KEY, 0o600]],
]);

/** They are started by whoever needs them. */
export const DISABLED_UNITS = ['nfs-server.service', 'rpcbind.service', 'rpcbind.socket'] as const;

export const BOX_VAGRANTFILE = `Vagrant.configure('2') do |config|
  config.ssh.username = 'vagrant'
  config.vm.synced_folder '.', '/vagrant', disabled: true
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = 'kvm'
  end
end
`;
