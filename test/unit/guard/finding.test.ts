import { expect, test } from 'vitest';
import { findMachines } from '../../../agent/guard/qemus.ts';
import { readWatchdogFacts, whyNotDependable } from '../../../agent/guard/watchdog.ts';
import { inFolder, put } from './files.ts';

const NOTE = {
  fleet: 'abcd0000-0000-4000-8000-000000000000',
  watchdog: null,
  sharedPools: ['/pools/san/', 'rbd:vms'],
  machines: [{ name: 'weft-abcd-shop-db-1', uuid: 'u-1' }],
};

interface Process {
  readonly comm?: string;
  readonly name?: string;
  readonly uuid?: string;
  readonly disk?: string;
  /** Ceph's names, in place of a file. */
  readonly rbd?: { readonly pool: string; readonly image: string };
  readonly cmdline?: string;
  /** Of each thread. */
  readonly states?: readonly string[];
  readonly flags?: number;
}

const stat = (pid: number, state: string, flags = 0) => {
  const fields = Array.from({ length: 19 }, () => '0');
  fields[5] = String(flags);
  fields[18] = '777';
  return `${pid} (a (b) c) ${state} ${fields.join(' ')}`;
};

async function found(processes: Readonly<Record<number, Process>>): Promise<readonly number[]> {
  let pids: readonly number[] = [];
  await inFolder(async (proc) => {
    for (const [key, each] of Object.entries(processes)) {
      const pid = Number(key);
      const args = ['/usr/bin/qemu-system-x86_64', '-name', `guest=${each.name},debug-threads=on`];
      const blockdev = each.rbd
        ? `{"driver":"rbd","pool":"${each.rbd.pool}","image":"${each.rbd.image}","conf":"/etc/ceph/ceph.conf"}`
        : `{"filename":"${each.disk ?? '/x'}"}`;
      const more = ['-uuid', each.uuid ?? 'x', '-blockdev', blockdev, ''];
      const states = each.states ?? ['S'];
      await put(`${proc}/${pid}/comm`, `${each.comm ?? 'qemu-system-x86'}\n`);
      await put(`${proc}/${pid}/cmdline`, each.cmdline ?? [...args, ...more].join('\0'));
      await put(`${proc}/${pid}/stat`, stat(pid, states[0] ?? 'S', each.flags));
      for (const [index, state] of states.entries())
        await put(`${proc}/${pid}/task/${pid + index}/stat`, stat(pid + index, state));
    }
    await put(`${proc}/version`, 'no process');
    pids = findMachines(NOTE, proc).map(({ pid }) => pid);
  });
  return pids;
}

const LISTED = { name: 'weft-abcd-shop-db-1', uuid: 'u-1', disk: '/elsewhere/disk.qcow2' };
const UNLISTED = { name: 'weft-abcd-shop-old-2', disk: '/pools/san/machines/shop/old/disk.qcow2' };

test('machines are those listed, and those with the disk of one below a shared pool', async () => {
  expect(await found({ 10: LISTED, 20: UNLISTED })).toEqual([10, 20]);
});

test('so are those with a machine’s image in a pool of Ceph’s', async () => {
  const name = 'weft-abcd-shop-old-2';
  const processes = {
    10: { name, rbd: { pool: 'vms', image: 'machine.shop.old' } },
    20: { name, rbd: { pool: 'other', image: 'machine.shop.old' } },
    30: { name, rbd: { pool: 'vms', image: 'somebodys' } },
    40: { name: 'weft-ffff-shop-old-2', rbd: { pool: 'vms', image: 'machine.shop.old' } },
  };
  expect(await found(processes)).toEqual([10]);
});

test('instances, machines on local pools, and what is another fleet’s or nobody’s are left alone', async () => {
  const others = {
    10: { name: 'weft-abcd-shop-web-0', disk: '/pools/san/roles/shop/web-0/1.qcow2' },
    20: { name: 'weft-abcd-shop-log-3', disk: '/pools/local/machines/shop/log/disk.qcow2' },
    30: { name: 'weft-ffff-shop-old-2', disk: UNLISTED.disk },
    40: { name: 'somebody', disk: UNLISTED.disk },
    50: { ...LISTED, uuid: 'u-2' },
    60: { ...LISTED, comm: 'vim' },
  };
  expect(await found(others)).toEqual([]);
});

test('one of which a thread still waits for its disk counts, though it is a zombie and says nothing any more', async () => {
  expect(await found({ 10: { cmdline: '', states: ['Z', 'D'] } })).toEqual([10]);
  expect(await found({ 10: { cmdline: '', states: ['Z'] }, 20: { ...LISTED, states: ['Z', 'X'] } })).toEqual(
    [],
  );
});

test('a thread of the kernel is none, whatever it is called', async () => {
  const thread = { comm: 'kvm-nx-lpage-re', cmdline: '' };
  expect(await found({ 10: { ...thread, flags: 0x208040 }, 20: { ...thread, flags: 0x400100 } })).toEqual([
    20,
  ]);
});

const facts = (files: Readonly<Record<string, string>>) =>
  new Promise<ReturnType<typeof readWatchdogFacts>>((resolve) => {
    void inFolder(async (folder) => {
      for (const [name, text] of Object.entries(files)) await put(`${folder}/watchdog0/${name}`, `${text}\n`);
      await put(`${folder}/device`, '');
      resolve(readWatchdogFacts(`${folder}/device`, folder));
    });
  });

test('a watchdog proves something only if it resets the host whatever becomes of its kernel and of the guard', async () => {
  const hardware = { timeout: '30', identity: 'iTCO_wdt', nowayout: '0', options: '0x8180' };
  expect(await facts(hardware)).toEqual({
    timeoutMs: 30_000,
    identity: 'iTCO_wdt',
    outlivesFeeder: true,
    neverStops: false,
  });
  expect(whyNotDependable(await facts(hardware), false)).toBeNull();
  expect(whyNotDependable(await facts({ ...hardware, nowayout: '1', options: '' }), false)).toBeNull();
  expect(whyNotDependable(await facts(hardware), true)).toMatch(/virtual machine/);
  expect(whyNotDependable(await facts({ ...hardware, options: '' }), false)).toMatch(/nowayout=1/);
  expect(whyNotDependable(await facts({ ...hardware, options: '0x8080' }), false)).toMatch(/nowayout=1/);
  expect(whyNotDependable(await facts({ ...hardware, identity: 'Software Watchdog' }), false)).toMatch(
    /kernel/,
  );
  expect(await facts({ identity: 'x' })).toBeNull();
  expect(whyNotDependable(null, false)).toMatch(/sysfs/);
});
