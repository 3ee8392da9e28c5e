import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Dossier, VmDetail } from '../../controller/client/index.ts';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../images/recipes/build-recipe.ts';
import { tiny } from '../../images/recipes/tiny/recipe.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

const UNREADY_LIMIT_MS = 5_000;
/** Until the driver that tells the hypervisor of a panic is there. */
const HEARD = "until grep -q '^pvpanic_.* Live ' /proc/modules; do sleep 0.1; done";
const PANIC = 'echo c >/proc/sysrq-trigger';
/** Arms the watchdog as its driver would, which the cloud kernel has not: the fast clock, then the switch. About two seconds later it bites. */
const HANG = [
  'cd /sys/bus/pci/devices/0000:00:10.0',
  "printf '\\004\\000' | dd of=config bs=2 seek=48 conv=notrunc",
  "printf '\\002' | dd of=config bs=1 seek=104 conv=notrunc",
].join('; ');
/** The guest's own driver has armed it, and the program that feeds it stands still. */
const HUNGRY =
  'until grep -q "^active" /sys/class/watchdog/watchdog0/state; do sleep 0.5; done; kill -STOP $(pidof watchdog)';

type Why = VmDetail & Pick<Dossier, 'givenUp'>;

/** How each instance of `mends` goes down; it is told so by SSH. */
const ENDS = [
  { id: 'mends/web-0', cause: 'panic', command: `${HEARD}; ${PANIC}` },
  { id: 'mends/web-1', cause: 'hang', command: HANG },
  { id: 'mends/web-2', cause: 'power-off', command: 'poweroff -f' },
  { id: 'mends/web-3', cause: 'unready', command: 'touch /run/bad' },
  { id: 'mends/fed-0', cause: 'hang', command: HUNGRY },
] as const;

const MENDS = `apiVersion: weft/v1
kind: Application
name: mends
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 4
    start: "sleep 100000"
    endpoints:
      http: {type: internal, port: 80, probe: {exec: "test ! -e /run/bad", interval: 500ms}}
  fed: {kind: worker, image: "tiny-full:stable", size: ${TINY}, instances: 1, start: "sleep 100000"}
`;
const DIES = `apiVersion: weft/v1
kind: Application
name: dies
roles:
  web: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1, start: "${HEARD}; ${PANIC}"}
`;
const BLANK = `apiVersion: weft/v1
kind: Application
name: blank
roles:
  web: {kind: worker, image: "blank:1", size: ${TINY}, instances: 1}
`;

/** They go wrong side by side: most of the time is spent in boots. */
describe('a guest that goes down by itself', () => {
  let golden: GoldenLab;
  let disk: string;
  beforeAll(async () => {
    const agent = { unreadyLimitMs: UNREADY_LIMIT_MS };
    golden = await goldenLab('guests', {
      hosts: 2,
      memoryMiB: 700,
      recipes: ['tiny', 'tiny-full'],
      agent,
    });
    const signal = AbortSignal.timeout(300_000);
    ({ disk } = await buildRecipe(tiny, { cacheFolder: DEFAULT_RECIPE_CACHE, onLine: () => {}, signal }));
    await apply('mends', MENDS);
    await apply('dies', DIES);
  }, 600_000);
  afterAll(() => golden?.down(), 60_000);

  const apply = async (name: string, text: string) =>
    golden.weft.ok(['apply', '-f', await golden.model(text, `${name}.yaml`)]);
  const why = async (id: string): Promise<Why> => {
    const { vm, givenUp } = await golden.weft.dossier(id);
    return { ...vm, givenUp };
  };
  const until = (what: string, id: string, wanted: (row: Why) => boolean, limitMs = 120_000) =>
    waitFor(`${id} ${what}`, () => why(id), wanted, limitMs);
  const isReady = ({ state }: Why) => state === 'ready';

  test('is started again on its host and disk, as the same incarnation, counted, with the cause and the end of its console', async () => {
    const before = await Promise.all(ENDS.map(({ id }) => until('is ready', id, isReady)));
    // Whether or not the guest lives long enough to say that it has begun: the command ends with it.
    await Promise.all(
      ENDS.map(({ id, command }) =>
        golden.weft.run(['ssh', id, '--', `touch /root/kept; sync; (${command}) >/dev/null 2>&1 &`], {
          timeoutMs: 60_000,
        }),
      ),
    );
    const isBack = (row: Why) => isReady(row) && row.restarts !== null;
    const after = await Promise.all(ENDS.map(({ id }) => until('is back', id, isBack)));
    for (const [index, { id, cause }] of ENDS.entries()) {
      const { host, incarnation } = before[index] ?? {};
      expect(after[index]).toMatchObject({
        ...{ state: 'ready', host, incarnation, failure: null, givenUp: false },
        restarts: { count: 1, host, recent: [{ cause }] },
      });
      expect(await golden.weft.ok(['ssh', id, '--', 'ls /root'])).toContain('kept');
    }
    expect(after[0]?.restarts?.consoleTail).toMatch(/Kernel panic - not syncing: sysrq triggered crash/);
    expect(after[3]?.restarts?.recent[0]?.message).toBe(
      'it was not ready for 5 s: http: the check ended with exit code 1',
    );
    expect(after[4]?.restarts?.recent[0]?.message).toBe('it hung: its watchdog was not fed');
  }, 300_000);

  test('and has a screen can be seen as it is; one without says so', async () => {
    await golden.weft.ok([
      ...['image', 'import', disk, '--name', 'blank', '--version', '1'],
      ...['--firmware', 'bios', '--ssh-user', 'root'],
    ]);
    await apply('blank', BLANK);
    await until('boots', 'blank/web-0', ({ state }) => state === 'booting');
    const file = join(golden.folder, 'screen.png');
    // As long as its firmware has not begun, a screen is QEMU's own, of another size.
    const picture = await waitFor(
      'a picture of what its firmware shows',
      async () => {
        const { exitCode } = await golden.weft.run(['screenshot', 'blank/web-0', file]);
        return exitCode === 0 ? readFile(file) : null;
      },
      (png) => png !== null && png.readUInt32BE(16) === 720 && png.readUInt32BE(20) === 400,
      30_000,
    );
    expect(picture?.subarray(1, 4).toString('latin1')).toBe('PNG');
    const none = await golden.weft.run(['screenshot', 'mends/web-0', file, '--json']);
    expect(JSON.parse(none.stdout)).toMatchObject({ error: { code: 'not-supported' } });
    const early = await golden.weft.run(['screenshot', 'blank/web-0', file, '--end', '--json']);
    expect(JSON.parse(early.stdout)).toMatchObject({ error: { code: 'not-found' } });
    await golden.weft.ok(['delete', 'blank']);
  }, 120_000);

  test('three times before it has lived goes to the other host; after the limit it stays failed, and why says everything', async () => {
    const id = 'dies/web-0';
    const given = await until('is given up', id, ({ givenUp }) => givenUp, 240_000);
    const counts = Object.values(given.failedOn);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(9);
    expect(Object.keys(given.failedOn).sort()).toEqual(['h1', 'h2']);
    expect(given).toMatchObject({
      ...{ state: 'failed', incarnation: 3 },
      failure: {
        code: 'guest-crash-loop',
        message: `${id} went down 3 times in a row before it was ready for 30 s: its kernel panicked`,
      },
      restarts: { count: 3, recent: [{ cause: 'panic' }, { cause: 'panic' }, { cause: 'panic' }] },
    });
    expect(given.failure?.consoleTail).toContain('Kernel panic - not syncing');

    const parts = [
      `${id}, incarnation 3: failed on ${given.host}, since `,
      'guest-crash-loop: ',
      'it is not tried again by itself; when its cause is gone: weft reimage',
      '── restarts\n  3 on ',
      '── timeline\n',
      '── end of the console, when it went wrong\n',
      'Kernel panic - not syncing: sysrq triggered crash',
      '── screen\n  none: ',
      `── host\n  ${given.host}: up`,
      'tcg: ',
    ];
    // A busy host may be late with a heartbeat and be `suspect` for a moment: then it is asked once more.
    await waitFor(
      'an answer that says everything',
      () => golden.weft.ok(['why', id]),
      (text) => parts.every((part) => text.includes(part)),
      30_000,
    );

    // It stays so, until somebody acts.
    const events = await golden.weft.events();
    expect(events.filter(({ kind, subject }) => kind === 'vm-given-up' && subject === id)).toHaveLength(1);
    const placed = events
      .filter(({ kind, subject }) => kind === 'vm-placed' && subject === id)
      .map(({ message }) => /^incarnation (\d) on (h[12])\b/.exec(message)?.slice(1));
    expect(placed.map((each) => each?.[0])).toEqual(['1', '2', '3']);
    expect(placed[1]?.[1]).not.toBe(placed[0]?.[1]);
    await golden.weft.ok(['reimage', id]);
    expect(await until('is tried anew', id, ({ incarnation }) => incarnation === 4)).toMatchObject({
      ...{ host: given.host, failedOn: {}, givenUp: false },
    });
    await golden.clear();
    await waitUntilNothingIsLeft(golden);
  }, 420_000);
});
