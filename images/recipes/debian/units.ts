/**
 * Units that a guest of ours does without: they cost an emulated processor seconds of its boot, and none does anything for
 * a VM whose disk is an overlay and whose network is given.
 */
export const MASKED_UNITS = [
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'e2scrub_reap.service',
  'fstrim.timer',
  'man-db.timer',
  'ldconfig.service',
  'systemd-binfmt.service',
  'systemd-boot-system-token.service',
  'systemd-firstboot.service',
  'systemd-hwdb-update.service',
  'systemd-journal-catalog-update.service',
  'systemd-journal-flush.service',
  'systemd-logind.service',
  'systemd-machine-id-commit.service',
  'systemd-modules-load.service',
  'systemd-network-generator.service',
  'systemd-random-seed.service',
  'systemd-remount-fs.service',
  'systemd-tmpfiles-setup-dev.service',
  'systemd-pcrphase-sysinit.service',
  'systemd-pcrphase.service',
  'systemd-pstore.service',
  'systemd-repart.service',
  'systemd-sysext.service',
  'systemd-sysusers.service',
  'systemd-timesyncd.service',
  'systemd-update-done.service',
  'systemd-update-utmp.service',
  'systemd-update-utmp-runlevel.service',
  'kmod-static-nodes.service',
  'modprobe@configfs.service',
  'modprobe@dm_mod.service',
  'modprobe@drm.service',
  'modprobe@efi_pstore.service',
  'modprobe@fuse.service',
  'modprobe@loop.service',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-fs-fuse-connections.mount',
  'sys-kernel-config.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'getty@tty1.service',
  'getty-static.service',
  'rescue-ssh.target',
] as const;

/** Installed for whoever wants them; a web role starts its server itself. */
export const DISABLED_UNITS = ['nginx.service'] as const;

export const ENABLED_UNITS = [
  'weft-ssh.service',
  'weft-grow.service',
  'ssh.service',
  'acpid.service',
  'serial-getty@ttyS0.service',
  'systemd-networkd.service',
  'systemd-resolved.service',
  'cloud-init-local.service',
  'cloud-init.service',
  'cloud-config.service',
  'cloud-final.service',
] as const;

/** They look, at each boot, for what this image never has. */
export const MASKED_GENERATORS = [
  // Its units carry a condition instead.
  'cloud-init-generator',
  'systemd-bless-boot-generator',
  'systemd-cryptsetup-generator',
  'systemd-debug-generator',
  'systemd-getty-generator',
  'systemd-gpt-auto-generator',
  'systemd-hibernate-resume-generator',
  'systemd-integritysetup-generator',
  'systemd-rc-local-generator',
  'systemd-run-generator',
  'systemd-system-update-generator',
  'systemd-sysv-generator',
  'systemd-veritysetup-generator',
] as const;
