import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { tableName } from '../../../agent/network/names.ts';
import { printBlock, readBlocks } from '../../../agent/network/nft-blocks.ts';
import type { RouterPart } from '../../../agent/network/router-part.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { Random } from '../../simulation/support/random.ts';
import { waitFor } from '../../support/wait-for.ts';
import { aGuest, FLEET, FLOWS, partOf } from './fleet.ts';
import { GUARDED, Stage } from './stage.ts';
import { usualShare } from './usual-share.ts';

const KILLS = Number(process.env.WEFT_KILLS ?? '3');
const ENDS_WITHIN_MS = 60_000;
const ANSWERS_S = 20;
/** Within a goal that is put in place, most times. */
const MOST_WAIT_MS = 120;

const stage = new Stage();
const twin = 'twin';
const random = new Random(Number(process.env.WEFT_SEED ?? '1'));
const [web, db] = [aGuest('crm/web', 0, 'h1'), aGuest('crm/db', 0, 'h1')];

const goals: readonly RouterPart[] = [1, 200, 400].map((count, index) =>
  partOf(
    'h1',
    [web, db, ...Array.from({ length: 50 }, (_, other) => aGuest('crm/db', 1 + other, 'h2'))],
    [
      ...FLOWS,
      ...Array.from({ length: count }, (_, port) => ({
        ...{ id: `crm/db/${port}`, from: ['crm/web'], to: 'crm/db', protocol: 'tcp' as const },
        port: 10_000 + 500 * index + port,
      })),
    ],
  ),
);

/** What a kernel has of the fleet, whatever the order in which it came. */
async function listed(where: string): Promise<string> {
  const texts = await Promise.all(
    ['inet', 'bridge'].map((family) =>
      // A table that is not there is one that is not as any goal says.
      stage.run(where, ['nft', '--stateless', 'list', 'table', family, tableName(FLEET)]).catch(() => ''),
    ),
  );
  const blocks = [...readBlocks(texts.join('\n'))].map(([key, block]) => [key, printBlock(block)]);
  return JSON.stringify(blocks.sort());
}

/** By goal, written whole where nothing was. */
async function allWhole(): Promise<readonly string[]> {
  const wholes: string[] = [];
  for (const goal of goals) {
    await stage.run(twin, ['nft', '-f', '-'], composeRuleset(goal, GUARDED, [], false, await usualShare()));
    wholes.push(await listed(twin));
  }
  return wholes;
}

/** What the one that was killed has begun ends by itself; what listens on the host is there all the time. */
const untilAlone = () =>
  waitFor(
    'what the killed one began to end',
    async () => (await exec('ip', ['netns', 'pids', stage.namespace('h1')])).stdout.trim().split(/\s+/),
    (pids) => pids.length === 1,
    ENDS_WITHIN_MS,
  );

beforeAll(async () => {
  await stage.open(['h1']);
  await stage.addNamespace(twin);
  await stage.host('h1').router.ask({ do: 'apply', part: goals[0] });
  for (const guest of [web, db]) await stage.addGuest(guest);
  await stage.host('h1').router.ask({ do: 'apply', part: goals[0] });
});
afterAll(() => stage.close());

test('killed at any moment, a host has the rules of one goal or of the other, and connections live on', async () => {
  const wholes = await allWhole();
  await stage.guest(web.id).ask({ do: 'hold', host: db.address, port: 5432, limit: ANSWERS_S });
  const exchange = () =>
    stage.guest(web.id).ask({ do: 'exchange', host: db.address, port: 5432, size: 1_000, limit: ANSWERS_S });
  for (let kill = 1; kill <= KILLS; kill++) {
    const order = [1, 2, 0].map((step) => goals[(step + kill) % goals.length]);
    const { router } = stage.host('h1');
    for (const part of order) router.ask({ do: 'apply', part }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, random.between(0, MOST_WAIT_MS)));
    await router.end();
    await untilAlone();
    const found = await listed('h1');
    expect(
      wholes.includes(found),
      `after kill ${kill} it is none of its goals: ${found.slice(0, 2_000)}`,
    ).toBe(true);
    expect(await exchange()).toBe(true);
    await stage.restart('h1');
    // Every second one is killed while it writes all anew, the others while they change what they wrote.
    if (kill % 2 === 0) continue;
    const last = kill % goals.length;
    await stage.host('h1').router.ask({ do: 'apply', part: goals[last] });
    expect((await listed('h1')) === wholes[last]).toBe(true);
    expect(await stage.host('h1').router.ask({ do: 'heal' })).toBe(false);
    expect(await exchange()).toBe(true);
  }
});
