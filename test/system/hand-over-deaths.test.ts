import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { supervisedPid } from '../lab/host.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import type { GuestWriter } from '../support/guest-writer.ts';
import { runningQemus, waitForOneQemu } from '../support/hosts.ts';
import { hurried } from '../support/hurried.ts';
import { HOSTS, MovingMachine, otherThan, type Way } from '../support/moving-machine.ts';
import { waitFor } from '../support/wait-for.ts';

const MODEL = `
apiVersion: weft/v1
kind: Application
name: shop
machines:
  files: {image: "tiny:stable", size: ${TINY}, pool: san}
`;
const ID = 'shop/files';

/** Storage that forgets cannot be used here: locks of two hosts' mounts of it know nothing of each other, and hand-overs rely on them. */
describe('in the middle of a hand-over', () => {
  let golden: GoldenLab;
  let moving: MovingMachine;
  let writer: GuestWriter;
  beforeAll(async () => {
    // Slow enough to be caught in the middle.
    golden = await goldenLab('handover', {
      ...{ shared: ['san'], bmc: true, agent: { migration: { bandwidthMiBps: 6 } } },
    });
    await golden.weft.ok(['apply', '-f', await golden.model(MODEL), '--wait'], { timeoutMs: 400_000 });
    moving = new MovingMachine(golden, ID);
    writer = moving.writer;
    await writer.start();
  }, 1_300_000);
  /** One test's failure is not the next one's. */
  afterEach(async () => {
    for (const name of HOSTS) await golden.lab.powerOn(name);
    await golden.lab.waitForHosts(HOSTS);
  }, 180_000);
  afterAll(() => golden?.down(), 60_000);

  const machine = async () => {
    const { state, host, moveTo = null, successor = null } = (await golden.weft.dossier(ID)).vm;
    return { state, host: String(host), moveTo, successor };
  };
  const virsh = async (host: string, ...command: string[]) =>
    (
      await golden.lab.exec(host, ['virsh', '--connect', 'qemu:///system', ...command], {
        okExitCodes: [0, 1],
      })
    ).stdout;
  const atRest = () =>
    waitFor(
      'it to be ready, and on no way',
      machine,
      ({ state, moveTo, successor }) => state === 'ready' && moveTo === null && successor === null,
    );
  const acknowledged = (atLeast: number) =>
    waitFor(
      'it to go on writing',
      () => writer.acknowledged(),
      (count) => count >= atLeast,
    );

  /** Not before that it is let come back: who is being fenced may be switched off once more. */
  const provenDead = (name: string) =>
    waitFor(
      `${name} to be proven dead`,
      async () => (await golden.weft.hosts()).find((host) => host.name === name)?.state,
      (state) => state === 'fenced',
    );

  /** Begins a move and waits until memory goes from the one libvirt to the other. */
  async function underWay(): Promise<Way> {
    const { host: from } = await atRest();
    const to = otherThan(from);
    await writer.fill();
    const written = await acknowledged(10);
    const begun = await moving.lastEvent();
    await golden.weft.ok(['move', ID, '--live', '--to', to]);
    const [name = ''] = (await virsh(from, 'list', '--name')).split('\n');
    await waitFor(
      'memory to be on its way',
      async () => [await virsh(from, 'domjobinfo', name), await virsh(to, 'list', '--all', '--name')],
      ([job = '', there = '']) =>
        /Outgoing migration[\s\S]*Data processed: +[1-9]/.test(job) && there.includes(name),
      180_000,
      100,
    );
    return { from, to, written, begun };
  }

  /** It runs once, has all that was acknowledged, and moves as if nothing had happened. */
  async function expectWhole(written: number): Promise<void> {
    await waitForOneQemu(golden);
    await writer.expectWritten(written);
    for (const name of HOSTS) await golden.lab.powerOn(name);
    await golden.lab.waitForHosts(HOSTS);
    const { host } = await machine();
    const before = await acknowledged(1);
    const move = golden.weft.run(['move', ID, '--live', '--wait'], { timeoutMs: 300_000 });
    const moved = await hurried(golden, host, move);
    expect(moved).toMatchObject({ exitCode: 0 });
    expect((await atRest()).host).not.toBe(host);
    await writer.expectWritten(await acknowledged(before + 1));
    expect(await runningQemus(golden)).toHaveLength(1);
  }

  test('the host that takes loses power: it goes on where it was', async () => {
    const way = await underWay();
    await golden.lab.powerOff(way.to);
    expect(await atRest()).toMatchObject({ host: way.from });
    expect(await moving.told(way.begun)).toContain('vm-move-failed');
    await acknowledged(way.written + 1);
    // Nobody has to prove its death: it has nothing that is to go on elsewhere.
    await expectWhole(way.written);
  }, 600_000);

  test('the host that gives loses power: it is started on the other one, by a fence device’s word', async () => {
    const way = await underWay();
    await golden.lab.powerOff(way.from);
    const after = await atRest();
    expect(after.host).not.toBe(way.from);
    await provenDead(way.from);
    expect(await golden.weft.ok(['why', ID])).toContain('says that it is off');
    await writer.expectWritten(way.written);
    await writer.start();
    await expectWhole(0);
  }, 600_000);

  test.each([
    ['gives', 'from'],
    ['takes', 'to'],
  ] as const)(
    'libvirtd of the host that %s is killed: one copy goes on',
    async (_who, which) => {
      const way = await underWay();
      const host = await golden.lab.host(way[which]);
      process.kill(await supervisedPid(host, 'libvirtd-supervised'), 'SIGKILL');
      await atRest();
      expect(await moving.told(way.begun)).toContain('vm-move-failed');
      await acknowledged(way.written + 1);
      await expectWhole(way.written);
    },
    600_000,
  );
});
