import { describe, expect, test } from 'vitest';
import { ledElsewhere } from '../../../agent/network/led-elsewhere.ts';
import { readBlocks } from '../../../agent/network/nft-blocks.ts';
import { ResolverWatch } from '../../../agent/network/resolver-watch.ts';
import { composeRuleset } from '../../../agent/network/ruleset.ts';
import { aGuest, FLEET, partOf } from '../../contract/network/fleet.ts';

const [FIRST, SECOND, THIRD] = ['10.191.252.2', '10.191.252.3', '10.191.252.4'] as const;

function aWatch(servers: readonly string[] = [FIRST, SECOND, THIRD]) {
  const bare = partOf('h1', [aGuest('crm/web', 0, 'h1')]);
  const { router } = bare;
  if (!router) throw new TypeError('it is there');
  const among = (those: readonly string[]) => ({
    ...bare,
    router: { ...router, resolver: { zone: 'weft.internal', servers: [...those] } },
  });
  const part = among(servers);
  const answering = new Set<string>(servers);
  const asked: string[] = [];
  const watch = new ResolverWatch(async (zone, address) => {
    asked.push(`${zone} ${address}`);
    return answering.has(address);
  });
  /** To whom guests are led after each look. */
  const looks = async (count: number) => {
    const led: (string | undefined)[] = [];
    for (let look = 0; look < count; look++) {
      await watch.look(part);
      led.push(watch.led(part).router?.resolver?.servers[0]);
    }
    return led;
  };
  return { part, among, answering, asked, watch, looks };
}

describe('guests are led to the first name server that answers', () => {
  test('and nobody else is asked while it does', async () => {
    const { looks, asked } = aWatch();
    expect(await looks(2)).toEqual([FIRST, FIRST]);
    expect(asked).toEqual([`weft.internal ${FIRST}`, `weft.internal ${FIRST}`]);
  });

  test('to the next one that answers, once the first was silent for some looks', async () => {
    const { looks, answering } = aWatch();
    answering.delete(FIRST);
    answering.delete(SECOND);
    expect(await looks(4)).toEqual([FIRST, FIRST, THIRD, THIRD]);
  });

  test('one lost packet changes nothing', async () => {
    const { looks, answering } = aWatch();
    for (let turn = 0; turn < 5; turn++) {
      answering.delete(FIRST);
      expect(new Set(await looks(2))).toEqual(new Set([FIRST]));
      answering.add(FIRST);
      expect(await looks(1)).toEqual([FIRST]);
    }
  });

  test('to the first again when it has answered for a while, and later each time that it dies anew', async () => {
    const { looks, answering } = aWatch();
    const waits: number[] = [];
    for (let death = 0; death < 4; death++) {
      answering.delete(FIRST);
      await looks(3);
      answering.add(FIRST);
      let wait = 0;
      while ((await looks(1))[0] !== FIRST) wait++;
      waits.push(wait);
    }
    expect(waits[0]).toBeLessThan(15);
    expect(waits).toEqual([...waits].sort((one, other) => one - other));
    expect(new Set(waits).size).toBe(4);
  });

  test('to the first of all where none answers', async () => {
    const { looks, answering } = aWatch();
    answering.clear();
    expect(new Set(await looks(20))).toEqual(new Set([FIRST]));
  });

  test('of another list at once, but not to who is known to be dead', async () => {
    const { looks, answering, watch, among } = aWatch();
    answering.delete(FIRST);
    await looks(5);
    const ledAmong = (servers: readonly string[]) => watch.led(among(servers)).router?.resolver?.servers;
    expect(ledAmong([THIRD, SECOND])).toEqual([THIRD]);
    expect(ledAmong([FIRST, THIRD])).toEqual([THIRD]);
  });

  test('where there is no other, or no guest, nobody is asked', async () => {
    const { looks, asked } = aWatch([FIRST]);
    expect(await looks(3)).toEqual([FIRST, FIRST, FIRST]);
    const { watch, part, asked: none } = aWatch();
    expect(await watch.look({ ...part, networks: [] })).toBe(false);
    expect([...asked, ...none]).toEqual([]);
  });

  test('a look says whether that has changed', async () => {
    const { watch, part, answering } = aWatch();
    answering.delete(FIRST);
    const changes = [];
    for (let look = 0; look < 5; look++) changes.push(await watch.look(part));
    expect(changes).toEqual([false, false, true, false, false]);
  });
});

test('what was asked of the one before is forgotten by the kernel', () => {
  const blocksOf = (servers: readonly string[]) =>
    readBlocks(composeRuleset(aWatch(servers).part, [], [], false));
  const name = [...blocksOf([FIRST]).keys()].find((key) => key.endsWith(' chain output')) ?? '';
  const table = name.split(' ')[1] ?? '';
  expect(table).toContain(FLEET.slice(0, 4));
  expect(ledElsewhere(table, blocksOf([FIRST]), blocksOf([SECOND]))).toEqual([
    ['-f', 'ipv4', '-d', '10.191.252.1', '--reply-src', FIRST],
  ]);
  expect(ledElsewhere(table, blocksOf([FIRST]), blocksOf([FIRST, SECOND]))).toEqual([]);
});
