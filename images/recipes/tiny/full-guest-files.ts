import { later, TINY_PROGRAMS, TINY_TEXTS } from './guest-files.ts';

/**
 * The guest agent, at its port of the virtio console. It writes nothing to the disk: that is frozen at its word. Without a port, or
 * without its driver yet, init tries again.
 */
const GUEST_AGENT = `#!/bin/sh
sleep 1
for port in /sys/class/virtio-ports/*; do
  [ -f $port/name ] && read -r name <$port/name || continue
  [ "$name" = org.qemu.guest_agent.0 ] || continue
  exec qemu-ga -m virtio-serial -p /dev/\${port##*/} -t /run -f /run/qemu-ga.pid -F/etc/qemu/fsfreeze-hook
done
sleep 5
`;

/** As Debian's package has it: whoever wants to know of a freeze puts a program here. It is called with \`freeze\` before, and \`thaw\` after. */
const FREEZE_HOOK = `#!/bin/sh
for hook in /etc/qemu/fsfreeze-hook.d/*; do
  [ -x $hook ] && $hook "$1"
done
exit 0
`;

/** A guest that cannot run this for half a minute hangs. */
const FEED_WATCHDOG = `#!/bin/sh
until [ -c /dev/watchdog ]; do sleep 2; done
exec watchdog -F -t 5 -T 30 /dev/watchdog
`;

const AFTER_LATER = '::once:/etc/init.d/later\n';
const RESPAWNED = ['guest-agent', 'feed-watchdog'].map((name) => `::respawn:/etc/init.d/${name}\n`).join('');

export const TINY_FULL_PROGRAMS: ReadonlyMap<string, string> = new Map([
  ...TINY_PROGRAMS,
  ['etc/init.d/later', later('$([ -b /dev/vda ] && echo vda || echo sda)')],
  ['etc/init.d/guest-agent', GUEST_AGENT],
  ['etc/init.d/feed-watchdog', FEED_WATCHDOG],
  ['etc/qemu/fsfreeze-hook', FREEZE_HOOK],
]);

export const TINY_FULL_TEXTS: ReadonlyMap<string, string> = new Map([
  ...TINY_TEXTS,
  ['etc/inittab', String(TINY_TEXTS.get('etc/inittab')).replace(AFTER_LATER, AFTER_LATER + RESPAWNED)],
  ['etc/hostname', 'tiny-full\n'],
]);
