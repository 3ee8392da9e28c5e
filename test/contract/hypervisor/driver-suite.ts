import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  ConsoleStream,
  DomainEvent,
  DomainMark,
  DomainSpec,
  DomainState,
  HypervisorDriver,
  NetworkSpec,
} from '../../../agent/hypervisor/driver.ts';
import { waitFor } from '../../support/wait-for.ts';
import { FLEET, type HypervisorRig, OTHER_FLEET } from './rig.ts';

const LIMIT_MS = 60_000;

export const aNetwork = (number: number, overrides: Partial<NetworkSpec> = {}): NetworkSpec => ({
  name: `contract-net-${number}`,
  mark: { fleet: FLEET, id: `crm/web-${number}` },
  bridge: `wbcontract-${number}`,
  gateway: `10.128.${number}.1`,
  prefix: 24,
  leases: [],
  ...overrides,
});

const view = async (driver: HypervisorDriver, name: string) =>
  (await driver.listDomains()).find((domain) => domain.name === name);
const networkView = async (driver: HypervisorDriver, name: string) =>
  (await driver.listNetworks()).find((network) => network.name === name);

/** Listens from now on. */
function listen(driver: HypervisorDriver) {
  const heard: DomainEvent[] = [];
  const stop = driver.onEvent((event) => heard.push(event));
  const told = (wanted: Partial<DomainEvent>) =>
    heard.some((event) => Object.entries(wanted).every(([key, value]) => Reflect.get(event, key) === value));
  return {
    heard,
    stop,
    async until(wanted: Partial<DomainEvent>): Promise<void> {
      await waitFor(
        JSON.stringify(wanted),
        async () => heard,
        () => told(wanted),
        LIMIT_MS,
        10,
      );
    },
  };
}

async function readUntil(console: ConsoleStream, text: string): Promise<string> {
  const reader = console.readable.getReader();
  let heard = '';
  while (!heard.includes(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    heard += Buffer.from(value).toString('utf8');
  }
  reader.releaseLock();
  return heard;
}

const bootFiles = ({ boot }: DomainSpec) =>
  boot.method === 'kernel' ? [boot.kernel, ...(boot.initrd === null ? [] : [boot.initrd])] : [];

/** Every call that does something to a domain. */
const everyCall = (spec: DomainSpec): Record<string, (on: HypervisorDriver) => Promise<unknown>> => ({
  startDomain: (on) => on.startDomain(spec),
  resumeDomain: (on) => on.resumeDomain(spec.name),
  unpauseDomain: (on) => on.unpauseDomain(spec.name),
  markDomain: (on) => on.markDomain(spec.name, spec.mark),
  rebootDomain: (on) => on.rebootDomain(spec.name),
  shutdownDomain: (on) => on.shutdownDomain(spec.name, 1_000),
  removeDomain: (on) => on.removeDomain(spec.name),
  openConsole: (on) => on.openConsole(spec.name),
  takeScreenshot: (on) => on.takeScreenshot(spec.name),
});

/** A driver has no hand in a domain that is not of its own fleet. */
async function refusedBy(driver: HypervisorDriver, spec: DomainSpec): Promise<void> {
  const theirs = { ...spec, mark: { ...spec.mark, fleet: OTHER_FLEET } };
  for (const mark of [spec.mark, theirs.mark])
    for (const [call, ask] of Object.entries(everyCall({ ...spec, mark })))
      await expect(ask(driver), call).rejects.toMatchObject({ code: 'forbidden' });
}

/** Everything that `agent/hypervisor/driver.ts` promises, asked of one implementation. */
export function describeDriver(name: string, open: () => Promise<HypervisorRig>): void {
  describe(`the hypervisor driver \`${name}\``, () => {
    let rig: HypervisorRig;
    let driver: HypervisorDriver;
    const network = aNetwork(1);
    beforeAll(async () => {
      rig = await open();
      driver = rig.driver;
      await driver.ensureNetwork(network);
    }, 400_000);
    afterAll(() => rig?.close());

    const started = async (overrides: Partial<DomainSpec> = {}) => {
      const spec = await rig.aGuest(network, overrides);
      await driver.startDomain(spec);
      return spec;
    };

    test('lets a guest that stands still run on, and leaves one that runs alone', async () => {
      const events = listen(driver);
      const spec = await started();
      await rig.pauseGuest(spec.name);
      await events.until({ type: 'lifecycle', name: spec.name, state: 'paused' });
      expect(await view(driver, spec.name)).toMatchObject({ state: 'paused' });
      await driver.unpauseDomain(spec.name);
      await driver.unpauseDomain(spec.name);
      expect(await view(driver, spec.name)).toMatchObject({ state: 'running', reason: 'unpaused' });
      await expect(driver.unpauseDomain('nobody')).rejects.toMatchObject({ code: 'not-found' });
      events.stop();
      await driver.removeDomain(spec.name);
    });

    describe('starts a domain', () => {
      test('that is then listed with its mark, state, overlay and files', async () => {
        const events = listen(driver);
        const spec = await started();
        await events.until({ type: 'lifecycle', name: spec.name, state: 'running' });
        expect(await view(driver, spec.name)).toEqual({
          ...{ name: spec.name, mark: spec.mark, state: 'running', reason: 'booted' },
          overlay: spec.chain[0]?.path,
          files: [...spec.chain.map(({ path }) => path), ...bootFiles(spec)],
        });
        events.stop();
        await driver.removeDomain(spec.name);
      });

      test('once, however often and by however many it is asked', async () => {
        const events = listen(driver);
        const spec = await rig.aGuest(network);
        await Promise.all([1, 2, 3].map(() => driver.startDomain(spec)));
        await driver.startDomain({ ...spec, mark: { ...spec.mark, rebootGeneration: 9 } });
        await driver.resumeDomain(spec.name);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running', mark: spec.mark });
        await driver.removeDomain(spec.name);
        await events.until({ type: 'lifecycle', name: spec.name, state: 'shut-off' });
        const starts = events.heard.filter(
          (event) =>
            event.type === 'lifecycle' && event.name === spec.name && event.detail.startsWith('started'),
        );
        expect(starts).toHaveLength(1);
        events.stop();
      });

      test('never over another life of the VM, nor over another VM', async () => {
        const spec = await started();
        const others = [
          { incarnation: 2 },
          { incarnation: 4 },
          { id: 'crm/other' },
          { kind: 'machine' },
        ] as const;
        for (const other of others) {
          const asked = driver.startDomain({ ...spec, mark: { ...spec.mark, ...other } });
          await expect(asked).rejects.toMatchObject({ code: 'conflict' });
        }
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running', mark: spec.mark });
        await driver.removeDomain(spec.name);
      });

      test('never under the mark of another fleet', async () => {
        const spec = await rig.aGuest(network);
        const asked = driver.startDomain({ ...spec, mark: { ...spec.mark, fleet: OTHER_FLEET } });
        await expect(asked).rejects.toMatchObject({ code: 'forbidden' });
        expect(await view(driver, spec.name)).toBeUndefined();
      });

      test('and can try again after a failure', async () => {
        const absent = aNetwork(2);
        const spec = await rig.aGuest(absent);
        await expect(driver.startDomain(spec)).rejects.toMatchObject({ code: 'hypervisor-failed' });
        expect(await view(driver, spec.name)).toMatchObject({ state: 'shut-off', mark: spec.mark });
        await driver.ensureNetwork(absent);
        await driver.startDomain(spec);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running' });
        await driver.removeDomain(spec.name);
        await driver.removeNetwork(absent.name);
      });
    });

    describe('removes a domain', () => {
      test('with its definition, never its disk, and as often as it is asked', async () => {
        const spec = await started();
        const events = listen(driver);
        await driver.removeDomain(spec.name);
        await events.until({ type: 'lifecycle', name: spec.name, state: 'shut-off' });
        await driver.removeDomain(spec.name);
        events.stop();
        expect(await view(driver, spec.name)).toBeUndefined();
        expect(await rig.diskExists(spec.chain[0]?.path ?? '')).toBe(true);
      });

      test('after which every question about it is answered: there is none', async () => {
        const spec = await rig.aGuest(network);
        const { name: absent, mark } = spec;
        expect(await driver.shutdownDomain(absent, 1_000)).toBe(true);
        for (const ask of [
          () => driver.resumeDomain(absent),
          () => driver.markDomain(absent, mark),
          () => driver.rebootDomain(absent),
          () => driver.openConsole(absent),
          () => driver.takeScreenshot(absent),
        ])
          await expect(ask()).rejects.toMatchObject({ code: 'not-found' });
      });
    });

    describe('keeps a mark', () => {
      test('as it was written, markup and all, through changes of its reboot generation', async () => {
        const mark: DomainMark = {
          ...{ fleet: FLEET, id: `<a b="c">&amp;'/ü\u{1f980}`, incarnation: 2 ** 40 },
          kind: 'machine',
          rebootGeneration: 5,
        };
        const spec = await started({ mark });
        expect((await view(driver, spec.name))?.mark).toEqual(mark);
        for (const rebootGeneration of [6, 7, 7]) {
          await driver.markDomain(spec.name, { ...mark, rebootGeneration });
          expect((await view(driver, spec.name))?.mark).toEqual({ ...mark, rebootGeneration });
        }
        await driver.removeDomain(spec.name);
      });

      test('and never becomes another life, another VM or another fleet’s', async () => {
        const spec = await started();
        const others = [
          { incarnation: 4 },
          { id: 'crm/other' },
          { kind: 'machine' },
          { fleet: OTHER_FLEET },
        ] as const;
        for (const other of others)
          await expect(driver.markDomain(spec.name, { ...spec.mark, ...other })).rejects.toMatchObject({
            code: 'conflict',
          });
        expect((await view(driver, spec.name))?.mark).toEqual(spec.mark);
        await driver.removeDomain(spec.name);
      });
    });

    describe('leaves alone', () => {
      test('a domain without a mark', async () => {
        const spec = await rig.aGuest(network, { name: 'contract-unmarked' });
        await rig.addUnmarkedDomain(spec.name);
        await refusedBy(driver, spec);
        expect(await view(driver, spec.name)).toMatchObject({ mark: null, state: 'running' });
      });

      test('a domain of another fleet', async () => {
        const spec = await started();
        await refusedBy(rig.neighbour, spec);
        expect(await view(rig.neighbour, spec.name)).toMatchObject({ mark: null, state: 'running' });
        expect(await view(driver, spec.name)).toMatchObject({ mark: spec.mark, state: 'running' });
        await driver.removeDomain(spec.name);
      });

      test('a network without a mark, and one of another fleet', async () => {
        const unmarked = aNetwork(3, { name: 'contract-unmarked' });
        await rig.addUnmarkedNetwork(unmarked.name);
        for (const [on, { name: theirs }] of [
          [driver, unmarked],
          [rig.neighbour, network],
        ] as const) {
          await expect(on.ensureNetwork({ ...unmarked, name: theirs })).rejects.toMatchObject({
            code: 'forbidden',
          });
          await expect(on.remakeNetwork({ ...unmarked, name: theirs })).rejects.toMatchObject({
            code: 'forbidden',
          });
          await expect(on.removeNetwork(theirs)).rejects.toMatchObject({ code: 'forbidden' });
          expect(await networkView(on, theirs)).toMatchObject({ mark: null, active: true });
        }
      });
    });

    describe('has networks', () => {
      const lease = (host: number, end: number) => ({
        ...{ mac: `52:54:0a:01:00:0${host}`, address: `10.128.4.${end}`, hostname: `web-${host}` },
      });
      const byAddress = (leases: NetworkSpec['leases'] = []) =>
        [...leases].sort((one, other) => one.address.localeCompare(other.address));

      test('that are made once, follow their leases, and go', async () => {
        const spec = aNetwork(4);
        const steps = [
          [],
          [lease(1, 5)],
          [lease(1, 5), lease(2, 6)],
          // An address goes from one guest to another.
          [lease(1, 6), lease(2, 5)],
          [{ ...lease(1, 6), hostname: 'renamed' }, lease(3, 7)],
          [lease(3, 7)],
          [],
        ];
        for (const leases of steps) {
          await driver.ensureNetwork({ ...spec, leases });
          await driver.ensureNetwork({ ...spec, leases });
          const seen = await networkView(driver, spec.name);
          expect(seen).toMatchObject({ name: spec.name, mark: spec.mark, active: true });
          expect(byAddress(seen?.leases)).toEqual(byAddress(leases));
        }
        await driver.removeNetwork(spec.name);
        await driver.removeNetwork(spec.name);
        expect(await networkView(driver, spec.name)).toBeUndefined();
      });

      test('that may be asked for by many at once', async () => {
        const spec = aNetwork(5);
        await Promise.all([1, 2, 3, 4].map(() => driver.ensureNetwork(spec)));
        expect(await networkView(driver, spec.name)).toMatchObject({ active: true, leases: [] });
        await driver.removeNetwork(spec.name);
      });

      test('that are made anew while guests run, as often as it is asked for', async () => {
        const spec = aNetwork(6, { leases: [lease(1, 5)] });
        await driver.remakeNetwork(spec);
        const guest = await rig.aGuest(spec);
        await driver.startDomain(guest);
        for (const leases of [spec.leases, [lease(2, 6)]]) {
          await driver.remakeNetwork({ ...spec, leases });
          expect(await networkView(driver, spec.name)).toMatchObject({
            ...{ mark: spec.mark, active: true, leases },
          });
        }
        expect(await driver.listDomains()).toContainEqual(
          expect.objectContaining({ name: guest.name, state: 'running' }),
        );
        await driver.removeDomain(guest.name);
        await driver.removeNetwork(spec.name);
        expect(await networkView(driver, spec.name)).toBeUndefined();
      });

      test('that know the names that they were made with, until they are made anew', async () => {
        const resolver = { zone: 'weft.internal', address: '10.191.252.1' };
        const spec = aNetwork(7, { resolver });
        expect(await driver.ensureNetwork(spec)).toEqual({ resolver });
        const other = { ...spec, resolver: { ...resolver, zone: 'lab.test' } };
        expect(await driver.ensureNetwork(other)).toEqual({ resolver });
        await driver.remakeNetwork(other);
        expect(await driver.ensureNetwork(other)).toEqual({ resolver: other.resolver });
        expect(await networkView(driver, spec.name)).toMatchObject({ resolver: other.resolver });
        const alone = { ...other, namesOnly: true as const };
        expect(await driver.ensureNetwork(alone)).toEqual({ resolver: other.resolver });
        await driver.remakeNetwork(alone);
        expect(await driver.ensureNetwork(other)).toEqual({ resolver: other.resolver, namesOnly: true });
        expect(await networkView(driver, spec.name)).toMatchObject({ namesOnly: true });
        await driver.removeNetwork(spec.name);
      });

      test('that come back with the newest leases after the host lost its power', async () => {
        const spec = aNetwork(4, { leases: [lease(1, 5)] });
        await driver.ensureNetwork(spec);
        await rig.stopNetwork(spec.name);
        expect(await networkView(driver, spec.name)).toMatchObject({ active: false, mark: spec.mark });
        await driver.ensureNetwork({ ...spec, leases: [lease(2, 6)] });
        expect(await networkView(driver, spec.name)).toMatchObject({ active: true, leases: [lease(2, 6)] });
        await rig.stopNetwork(spec.name);
        await driver.removeNetwork(spec.name);
        expect(await networkView(driver, spec.name)).toBeUndefined();
      });
    });

    describe('a guest that is up', () => {
      let spec: DomainSpec;
      beforeAll(async () => {
        spec = await started();
        await rig.guestIsUp(spec.name);
      }, 2 * LIMIT_MS);
      afterAll(() => driver.removeDomain(spec.name));

      test('has a console that carries bytes both ways', async () => {
        const console = await driver.openConsole(spec.name);
        await console.write(Buffer.from('# both ways\n'));
        expect(await readUntil(console, '# both ways')).toContain('# both ways');
        await console.close();
        await console.close();
        // Whatever was still on its way, and then the end.
        expect(await readUntil(console, 'never said')).not.toContain('never said');
      });

      test('gives its console to who asks last, and the one before it ends', async () => {
        const first = await driver.openConsole(spec.name);
        const second = await driver.openConsole(spec.name);
        await readUntil(first, 'never said');
        await second.write(Buffer.from('# to the second\n'));
        expect(await readUntil(second, '# to the second')).toContain('# to the second');
        await second.close();
      });

      test('reboots when asked, the same domain on the same disk', async () => {
        const before = await rig.bootOf(spec.name);
        const events = listen(driver);
        await driver.rebootDomain(spec.name);
        await events.until({ type: 'reboot', name: spec.name });
        events.stop();
        await rig.guestIsUp(spec.name);
        expect(await rig.bootOf(spec.name)).not.toBe(before);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running', mark: spec.mark });
      });

      test('goes off when asked, stays defined with its disk, and starts again', async () => {
        const before = await rig.bootOf(spec.name);
        const events = listen(driver);
        expect(await driver.shutdownDomain(spec.name, LIMIT_MS)).toBe(true);
        await events.until({ type: 'lifecycle', name: spec.name, state: 'shut-off' });
        expect(await driver.shutdownDomain(spec.name, LIMIT_MS)).toBe(true);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'shut-off', reason: 'shutdown' });
        expect(await rig.diskExists(spec.chain[0]?.path ?? '')).toBe(true);
        for (const ask of [() => driver.rebootDomain(spec.name), () => driver.openConsole(spec.name)])
          await expect(ask()).rejects.toMatchObject({ code: 'hypervisor-failed' });
        await refusedBy(rig.neighbour, spec);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'shut-off', mark: spec.mark });
        const generation = { ...spec.mark, rebootGeneration: 1 };
        await driver.markDomain(spec.name, generation);
        await driver.resumeDomain(spec.name);
        await events.until({ type: 'lifecycle', name: spec.name, state: 'running' });
        events.stop();
        await rig.guestIsUp(spec.name);
        expect(await rig.bootOf(spec.name)).not.toBe(before);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running', mark: generation });
      });

      test('that powers itself off is told of, and starts again by startDomain with its mark', async () => {
        const events = listen(driver);
        await rig.powerOffGuest(spec.name);
        await events.until({ type: 'power-off', name: spec.name });
        await events.until({ type: 'lifecycle', name: spec.name, state: 'shut-off' });
        events.stop();
        expect(await view(driver, spec.name)).toMatchObject({ state: 'shut-off', reason: 'shutdown' });
        await driver.startDomain(spec);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running', mark: spec.mark });
        await rig.guestIsUp(spec.name);
      });

      test('that does not listen runs on after the grace, and is rebooted by its reset button', async () => {
        await rig.makeDeaf(spec.name);
        const before = await rig.bootOf(spec.name);
        expect(await driver.shutdownDomain(spec.name, 300)).toBe(false);
        expect(await view(driver, spec.name)).toMatchObject({ state: 'running' });
        const events = listen(driver);
        await driver.rebootDomain(spec.name);
        await events.until({ type: 'reboot', name: spec.name });
        events.stop();
        expect(await rig.bootOf(spec.name)).not.toBe(before);
      });

      test('ends its console when it goes', async () => {
        const console = await driver.openConsole(spec.name);
        await driver.removeDomain(spec.name);
        expect(await readUntil(console, 'never said')).not.toContain('never said');
      });
    });

    describe('a guest that goes wrong', () => {
      let spec: DomainSpec;
      beforeAll(async () => {
        spec = await started();
        await rig.guestIsUp(spec.name);
      }, 2 * LIMIT_MS);
      afterAll(() => driver.removeDomain(spec.name));

      /** Kept as it is, whoever looks at it, until it is removed; then it starts anew. */
      const keptUntilRemoved = async (state: DomainState, reason: string) => {
        expect(await view(driver, spec.name)).toMatchObject({ state, reason, mark: spec.mark });
        await refusedBy(rig.neighbour, spec);
        await driver.startDomain(spec);
        expect(await view(driver, spec.name)).toMatchObject({ state, reason, mark: spec.mark });
        await driver.removeDomain(spec.name);
        expect(await rig.diskExists(spec.chain[0]?.path ?? '')).toBe(true);
        await driver.startDomain(spec);
        await rig.guestIsUp(spec.name);
      };

      test('by a reset of its own goes on, and that is told', async () => {
        const before = await rig.bootOf(spec.name);
        const events = listen(driver);
        await rig.resetGuest(spec.name);
        await events.until({ type: 'reboot', name: spec.name });
        events.stop();
        await rig.guestIsUp(spec.name);
        expect(await rig.bootOf(spec.name)).not.toBe(before);
        const wrong = events.heard.filter(({ type }) => ['crash', 'watchdog', 'power-off'].includes(type));
        expect(wrong).toEqual([]);
      });

      test('by a panic is kept as it was then', async () => {
        const events = listen(driver);
        await rig.crashGuest(spec.name);
        await events.until({ type: 'crash', name: spec.name });
        await events.until({ type: 'lifecycle', name: spec.name, state: 'crashed' });
        events.stop();
        await keptUntilRemoved('crashed', 'panicked');
      });

      test('by not feeding its watchdog is kept as it was then', async () => {
        const events = listen(driver);
        await rig.hangGuest(spec.name);
        await events.until({ type: 'watchdog', name: spec.name });
        await events.until({ type: 'lifecycle', name: spec.name, state: 'paused' });
        events.stop();
        await keptUntilRemoved('paused', 'watchdog');
      });
    });

    test('takes a picture of a screen, and says so where there is none', async () => {
      const blind = await started();
      await expect(driver.takeScreenshot(blind.name)).rejects.toMatchObject({ code: 'not-supported' });
      const spec = await started({ boot: { method: 'disk', firmware: 'bios' } });
      const { mimeType, data } = await driver.takeScreenshot(spec.name);
      expect(['image/x-portable-pixmap', 'image/png']).toContain(mimeType);
      expect(Buffer.from(data.subarray(0, 2)).toString('latin1')).toBe(
        mimeType.endsWith('png') ? '\x89P' : 'P6',
      );
      for (const { name } of [blind, spec]) await driver.removeDomain(name);
      await expect(driver.takeScreenshot(spec.name)).rejects.toMatchObject({ code: 'not-found' });
    });

    test('tells nothing more to who stopped listening', async () => {
      const stopped = listen(driver);
      stopped.stop();
      const events = listen(driver);
      const spec = await started();
      await driver.removeDomain(spec.name);
      await events.until({ type: 'lifecycle', name: spec.name, state: 'shut-off' });
      events.stop();
      expect(stopped.heard).toEqual([]);
    });
  });
}
