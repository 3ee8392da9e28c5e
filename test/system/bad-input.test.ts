import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { VmDetail } from '../../controller/client/index.ts';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../images/recipes/build-recipe.ts';
import { tiny } from '../../images/recipes/tiny/recipe.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { runningQemus, waitUntilNothingIsLeft } from '../support/hosts.ts';
import { waitFor } from '../support/wait-for.ts';

const SSH_LIMIT_MS = 30_000;
/** Each host can hold three guests of 128 MiB. */
const HOST_MEMORY_MIB = 400;
const MOST_OUTPUT_BYTES = 65_536;

type Why = VmDetail;
type Failure = NonNullable<VmDetail['failure']>;
interface Logs {
  readonly tasks: readonly {
    readonly name: string;
    readonly status: string;
    readonly exitCode: number | null;
    readonly attempts: number;
    readonly ms: number;
    readonly output: string;
  }[];
}

const application = (name: string, role: string) => `apiVersion: weft/v1
kind: Application
name: ${name}
roles:
  web: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 1, ${role}}
`;

/** What only real guests can do wrong. They go wrong side by side: most of the time is spent waiting for limits. */
describe('a guest that goes wrong', () => {
  let golden: GoldenLab;
  beforeAll(async () => {
    const agent = { sshLimitMs: SSH_LIMIT_MS };
    golden = await goldenLab('badinput', { hosts: 2, memoryMiB: HOST_MEMORY_MIB, agent });
  }, 600_000);
  afterAll(() => golden?.down(), 60_000);

  /** However it went wrong, once it is deleted nothing of it is left. */
  afterEach(async () => {
    for (const { name } of await golden.weft.json<{ name: string }[]>(['ls']))
      await golden.weft.ok(['delete', name, '--wait'], { timeoutMs: 120_000 });
    await waitUntilNothingIsLeft(golden);
  }, 300_000);

  const apply = async (name: string, text: string) =>
    golden.weft.ok(['apply', '-f', await golden.model(text, `${name}.yaml`)]);
  const why = async (id: string): Promise<Why> => (await golden.weft.dossier(id)).vm;
  const tasks = async (id: string) => (await golden.weft.json<Logs>(['logs', id])).tasks;
  /** Its first failure. It is tried again later, as a new incarnation; what it died of stays. */
  const failed = (id: string) =>
    waitFor(
      `${id} to fail`,
      () => why(id),
      ({ failure }) => failure !== null,
      120_000,
    );

  test('fails its start by a task that fails, hangs, or floods; or by never answering: each says what, why and what to do', async () => {
    await importSilentImage();
    await apply(
      'fails',
      application('fails', 'startup: [{run: "echo one; echo two >&2; exit 7", retries: 1}]'),
    );
    await apply('hangs', application('hangs', 'startup: [{run: "echo begun; sleep 1000", timeout: 2s}]'));
    await apply('silent', application('silent', 'env: {}').replace('tiny:stable', 'silent:1'));

    const fails = await failed('fails/web-0');
    expect(fails.failure).toMatchObject({
      code: 'task-failed',
      message: 'startup task startup-1 ended with exit code 7 after 2 tries: one\ntwo\none\ntwo',
      remedy: 'See all of its output with: weft logs ID --task startup-1',
    });
    // Whatever is tried next, what the failed try said can be read.
    const [task] = await waitFor(
      'the output of the task that failed',
      () => tasks('fails/web-0'),
      ([first]) => first?.status === 'failed',
    );
    expect(task).toMatchObject({
      name: 'startup-1',
      exitCode: 7,
      attempts: 2,
      output: 'one\ntwo\none\ntwo\n',
    });
    const hangs = await failed('hangs/web-0');
    expect(hangs.failure).toMatchObject({
      code: 'task-failed',
      // The guest's shell may have a word of its own for it.
      message: expect.stringMatching(
        /^startup task startup-1 ran out of time after 1 try: begun(\nTerminated)?$/,
      ),
      remedy: 'See all of its output with: weft logs ID --task startup-1',
    });
    const silent = await failed('silent/web-0');
    expect(silent.failure?.code).toBe('guest-unreachable');
    expect(silent.failure?.message).toMatch(/^10\.[\d.]+ did not answer by SSH within 30 s: /);
    expect(silent.failure?.remedy).toBe('Look at its console: weft console ID.');
    expect(silent.failure?.consoleTail).toMatch(/Kernel panic - not syncing/);
    const text = (await golden.weft.run(['why', 'silent/web-0'])).stdout;
    expect(text).toContain('guest-unreachable: ');
    expect(text).toContain('Kernel panic - not syncing');

    // A script that waits is told by its exit code, by one document, and by what each VM waits for.
    const file = await golden.model(
      application('fails', 'startup: [{run: "echo one; echo two >&2; exit 7", retries: 1}]'),
    );
    const waited = await golden.weft.run(['apply', '-f', file, '--wait', '--timeout', '3s', '--json']);
    expect(waited.exitCode).toBe(3);
    const { error } = JSON.parse(waited.stdout) as { error: Failure };
    expect(error.code).toBe('timeout');
    expect(error.message).toMatch(
      /^fails ready did not come about within 3\.0 s; it is still being worked on\n {2}fails\/web-0: /,
    );
    expect(error.remedy).toBe('See: weft why fails/web-0; weft timeline fails/web-0');
  }, 240_000);

  test('that floods its output costs neither memory nor the start; the end of it is kept', async () => {
    const flood = 'yes xxxxxxxx | head -c 18000000; echo end';
    await apply('floods', application('floods', `startup: [{run: "${flood}"}]`));
    const ready = ({ state, failure }: Why) => state === 'ready' || failure !== null;
    const row = await waitFor('floods/web-0 to be ready', () => why('floods/web-0'), ready, 120_000);
    expect(row.state).toBe('ready');
    // Its start does not wait for what it said.
    const [task] = await waitFor(
      'the output of the task that floods',
      () => tasks('floods/web-0'),
      ([first]) => first !== undefined && first.output !== '',
    );
    expect(task).toMatchObject({ name: 'startup-1', status: 'done', exitCode: 0, attempts: 1 });
    expect(task?.output.endsWith('\nxxxxxxxx\nend\n')).toBe(true);
    expect(task?.output.length).toBe(MOST_OUTPUT_BYTES);
    // 18 MB went by; in the guest, too, no more than two pieces were kept.
    const kept = await golden.weft.ok([
      'ssh',
      'floods/web-0',
      '--',
      'cat /var/lib/weft/runs/*/startup-1/output.* | wc -c',
    ]);
    expect(Number(kept)).toBeLessThanOrEqual(2 * MOST_OUTPUT_BYTES);
  }, 240_000);

  test('more instances than the hosts hold are refused: which resource, on which host, and what would fit', async () => {
    const file = await golden.model(application('many', 'env: {}').replace('instances: 1', 'instances: 9'));
    const refused = await golden.weft.run(['apply', '-f', file, '--json']);
    expect(refused.exitCode).toBe(1);
    const { error } = JSON.parse(refused.stdout) as { error: Failure };
    const short = `needs 128 MiB of memory, 16 of ${HOST_MEMORY_MIB} MiB free`;
    expect(error).toMatchObject({
      code: 'no-capacity',
      message: `no host can take many/web-6 (h1: ${short}; h2: ${short}); 6 of 9 new VMs would fit`,
      remedy: 'Ask for fewer or smaller ones (6 of 9 new VMs would fit), or add a host.',
    });
    expect(await golden.weft.json(['ls'])).toEqual([]);
    expect(await runningQemus(golden)).toEqual([]);
  }, 60_000);

  /** A kernel that finds no program to start, and says so on its console for ever. */
  async function importSilentImage(): Promise<void> {
    const signal = AbortSignal.timeout(300_000);
    const built = await buildRecipe(tiny, { cacheFolder: DEFAULT_RECIPE_CACHE, onLine: () => {}, signal });
    await golden.weft.ok([
      ...['image', 'import', built.disk, '--name', 'silent', '--version', '1'],
      ...['--kernel', built.kernel, '--initrd', built.initrd],
      ...['--cmdline', 'console=ttyS0 rdinit=/none panic=0'],
    ]);
  }
});
