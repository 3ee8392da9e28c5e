import { beforeEach, describe, expect, test } from 'vitest';
import type { CephClient } from '../../../agent/disks/rbd/ceph-client.ts';
import { RbdLeftovers } from '../../../agent/disks/rbd/leftovers.ts';
import { goldenImage } from '../../../agent/disks/rbd/names.ts';
import { WeftError } from '../../../agent/kit/errors.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';

const GOLDEN = goldenImage(['/blobs/aa.qcow2']);
const IMPORT = `importing.h9.${GOLDEN}`;
const MINUTE_MS = 60_000;
const failed = (errno: string) => new WeftError('command-failed', 'rbd', { details: { errno } });

interface Image {
  readonly id: string;
  clones: string[];
  isProtected: boolean;
}

/** Ceph as far as this goes: names, clones, the trash, and what it refuses. */
class FakeCeph {
  readonly images = new Map<string, Image>();
  readonly trash = new Map<string, Image & { name: string; status: string }>();
  readonly asked: string[] = [];
  readonly pool = { name: 'ceph', pool: 'vms' } as CephClient['pool'];

  add(name: string, id: string, clones: string[] = []): Image {
    const image = { id, clones, isProtected: true };
    this.images.set(name, image);
    return image;
  }

  spec = (image: string) => `vms/${image}`;
  rbdWithin = (_limitMs: number, ...args: string[]) => this.rbd(...args);

  async rbd(...args: string[]): Promise<string> {
    this.asked.push(args.slice(0, 2).join(' '));
    const [what, verb] = args;
    const spec = args.find((arg) => arg.startsWith('vms/'))?.slice('vms/'.length) ?? '';
    const trashed = this.trash.get(args[args.indexOf('--image-id') + 1] ?? '') ?? this.trash.get(spec);
    if (what === 'ls') return JSON.stringify([...this.images.keys()]);
    if (what === 'trash' && verb === 'ls')
      return JSON.stringify([...this.trash.values()].map(({ id, name, status }) => ({ id, name, status })));
    if (what === 'snap' || (what === 'trash' && verb === 'rm')) {
      if (!trashed) throw failed('2');
      return this.#onTrashed(`${what} ${verb}`, trashed);
    }
    const image = this.images.get(spec);
    if (!image) throw failed('2');
    if (what === 'info') return JSON.stringify({ id: image.id, size: 1 });
    if (what === 'children') return JSON.stringify(image.clones);
    if (what !== 'trash') throw new Error(`rbd ${args.join(' ')} is nothing that this Ceph knows`);
    this.images.delete(spec);
    this.trash.set(image.id, { ...image, name: spec, status: 'protected until Thu Nov 26 21:45:21 2026' });
    return '';
  }

  #onTrashed(command: string, image: Image): string {
    const snapshot = { name: 'golden', protected: String(image.isProtected), namespace: { type: 'user' } };
    if (command === 'snap ls') return JSON.stringify([snapshot]);
    if (command === 'trash rm') this.trash.delete(image.id);
    if (command !== 'snap unprotect') return '';
    if (image.clones.length > 0) throw failed('16');
    image.isProtected = false;
    return '';
  }

  expire(): void {
    for (const [id, image] of this.trash)
      this.trash.set(id, { ...image, status: 'expired at Thu Nov 26 21:45:21 2026' });
  }
}

let ceph: FakeCeph;
let clock: VirtualClock;
let leftovers: RbdLeftovers;
beforeEach(() => {
  ceph = new FakeCeph();
  clock = new VirtualClock(0);
  leftovers = new RbdLeftovers(ceph as unknown as CephClient, clock);
});
const golden = (id = '10af') => ({ pool: 'ceph', kind: 'golden' as const, image: GOLDEN, id });
const trashed = (id = '10af') => ({ ...golden(id), kind: 'trashed' as const });

describe('a golden image', () => {
  test('is left over without clones; one that has some is asked for them again only after a while', async () => {
    const image = ceph.add(GOLDEN, '10af', ['machine.shop.db']);
    ceph.add('machine.shop.db', '10b0');
    ceph.add('somebody.elses', '10b1');
    expect(await leftovers.look()).toEqual([]);
    image.clones = [];
    const before = ceph.asked.length;
    await clock.advance(9 * MINUTE_MS);
    expect(await leftovers.look()).toEqual([]);
    expect(ceph.asked.slice(before).filter((each) => each.startsWith('children'))).toEqual([]);
    await clock.advance(MINUTE_MS);
    expect(await leftovers.look()).toEqual([golden()]);
  });

  test('goes by way of the trash, and from there only after its time', async () => {
    ceph.add(GOLDEN, '10af');
    expect(await leftovers.remove(golden())).toBe(true);
    expect(await leftovers.look()).toEqual([]);
    expect([...ceph.trash.keys()]).toEqual(['10af']);
    ceph.expire();
    expect(await leftovers.look()).toEqual([trashed()]);
    expect(await leftovers.remove(trashed())).toBe(true);
    expect(ceph.trash.size).toBe(0);
    // Another host did it, or this one before it died.
    expect(await leftovers.remove(trashed())).toBe(true);
    expect(await leftovers.remove(golden())).toBe(true);
  });

  test('that was cloned since it was looked at stays', async () => {
    const image = ceph.add(GOLDEN, '10af');
    expect(await leftovers.look()).toEqual([golden()]);
    image.clones = ['machine.shop.db'];
    expect(await leftovers.remove(golden())).toBe(false);
    expect(ceph.images.has(GOLDEN)).toBe(true);
  });

  test('of the same name that was imported anew is another one', async () => {
    ceph.add(GOLDEN, '10b5');
    expect(await leftovers.remove(golden('10af'))).toBe(true);
    expect(ceph.images.has(GOLDEN)).toBe(true);
  });

  test('that was cloned in the moment in which it went into the trash stays there as long as its clone', async () => {
    const image = ceph.add(GOLDEN, '10af');
    await leftovers.remove(golden());
    image.clones.push('machine.shop.db');
    ceph.expire();
    expect(await leftovers.remove(trashed())).toBe(false);
    expect(ceph.trash.get('10af')?.isProtected).toBe(true);
    expect(await leftovers.look()).toEqual([]);
    image.clones.pop();
    await clock.advance(10 * MINUTE_MS);
    expect(await leftovers.look()).toEqual([trashed()]);
    expect(await leftovers.remove(trashed())).toBe(true);
    expect(ceph.trash.size).toBe(0);
  });
});

test('a half-made image is left over when it was the same one for hours', async () => {
  ceph.add(IMPORT, '10af');
  expect(await leftovers.look()).toEqual([]);
  await clock.advance(119 * MINUTE_MS);
  expect(await leftovers.look()).toEqual([]);
  // Its host begins it anew.
  ceph.add(IMPORT, '10b0');
  await clock.advance(MINUTE_MS);
  expect(await leftovers.look()).toEqual([]);
  await clock.advance(120 * MINUTE_MS);
  expect(await leftovers.look()).toEqual([{ pool: 'ceph', kind: 'half-made', image: IMPORT, id: '10b0' }]);
});

test('what others have in the trash is not ours', async () => {
  ceph.add('machine.shop.db', '10b0');
  ceph.add('notes', '10b1');
  for (const name of ['machine.shop.db', 'notes']) await ceph.rbd('trash', 'mv', `vms/${name}`);
  ceph.expire();
  expect(await leftovers.look()).toEqual([]);
});
