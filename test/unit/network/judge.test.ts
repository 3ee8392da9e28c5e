import { expect, test } from 'vitest';
import { composeInetTable } from '../../../agent/network/inet-table.ts';
import { judgeOf } from '../../../agent/network/judge.ts';
import { readOutboundRules, rulesFor } from '../../../agent/network/outbound-rules.ts';
import { isRouting } from '../../../agent/network/router-part.ts';
import { aGuest, FLOWS, gatewayOf, partOf } from '../../contract/network/fleet.ts';

const [web, beside, db] = [aGuest('crm/web', 0, 'h1'), aGuest('crm/web', 1, 'h2'), aGuest('crm/db', 0, 'h1')];
const [near, far] = [aGuest('shop/db', 0, 'h1'), aGuest('shop/db', 1, 'h2')];
const [machine, other] = [aGuest('crm/machines', 0, 'h1'), aGuest('crm/machines', 1, 'h1')];
const part = partOf('h1', [web, beside, db, near, far, machine, other]);
const OWN = new Set(['192.0.2.10', '2001:db8:1::a', gatewayOf('crm/web')]);
const judge = (from: string, to: string, of = part) => judgeOf(of, { from, to }, OWN);

test('a mesh is judged on its bridge, at either end and in either family', () => {
  expect(judge(near.address, far.address)).toEqual({ kind: 'mesh', side: 'from' });
  expect(judge(near.address6, far.address6)).toEqual({ kind: 'mesh', side: 'from' });
  expect(judge(far.address6, near.address6)).toEqual({ kind: 'mesh', side: 'to' });
});

test('between others of one subnet nothing passes a bridge, but where a router answers for them', () => {
  const apart = { kind: 'apart', tap: 'wtf1ee-0a80040a' };
  expect(judge(web.address, beside.address)).toEqual(apart);
  expect(judge(web.address6, beside.address6)).toEqual(apart);
  expect(judge(machine.address, other.address)).toEqual({ kind: 'flows' });
  const alone = partOf(
    'h1',
    [machine, other],
    FLOWS.filter(({ to }) => to !== 'crm/machines'),
  );
  expect(judge(machine.address, other.address, alone)).toMatchObject({ kind: 'apart' });
  expect(judge(beside.address, web.address)).toEqual({ kind: 'flows' });
});

test('what goes to the world is judged by what its bridge is let out to, what goes to this host by what that lets in', () => {
  for (const to of ['203.0.113.1', '192.0.2.11', '169.254.169.254'])
    expect(judge(web.address, to)).toEqual({ kind: 'outbound', bridge: 'wbf1ee-1' });
  expect(judge(web.address6, '2001:db8::7')).toEqual({ kind: 'outbound', bridge: 'wbf1ee-1' });
  for (const to of ['192.0.2.10', gatewayOf('crm/web')])
    expect(judge(web.address, to)).toEqual({ kind: 'host' });
  // However it is written.
  expect(judge(web.address6, '2001:db8:1:0::000a')).toEqual({ kind: 'host' });
  for (const to of [db.address, '10.140.0.1', 'fd12:3456:789a:77::1'])
    expect(judge(to.includes(':') ? web.address6 : web.address, to)).toEqual({ kind: 'flows' });
  expect(judge('10.191.252.4', web.address)).toEqual({ kind: 'flows' });
});

const outboundOf = (text: string) => {
  const chain = /chain outbound \{\n[^}]*\n {2}\}/.exec(text)?.[0];
  if (chain === undefined) throw new Error('there is no chain');
  return chain;
};

test('every rule that lets guests out, or does not, is read as it is written, and nothing else is', () => {
  if (!isRouting(part)) throw new TypeError('it is a router');
  const router = {
    ...part.router,
    outbound: [
      { subnet: 'crm/web', allow: ['203.0.113.2/32', '0.0.0.0/0', '2001:db8:2::/48', '::/0'] },
      { subnet: 'crm/db', allow: 'all' as const },
    ],
  };
  const table = composeInetTable(
    { ...part, router: { ...part.router, ...router } as never },
    ['192.0.2.0/24'],
    [],
  );
  // The kernel puts numbers to them.
  const chain = outboundOf(table).replaceAll('counter ', 'counter packets 3 bytes 180 ');
  const rules = readOutboundRules(chain);
  expect(rules?.length).toBe(chain.split('\n').length - 2);
  const names = (bridge: string, to: string) =>
    rulesFor(rules ?? [], { bridge, to }).map(({ set, prefix, verdict }) => set?.name ?? prefix ?? verdict);
  expect(names('wbf1ee-1', '203.0.113.2')).toEqual([
    ...['never4', 'never4', '203.0.113.2/32', 'named4', 'guarded4', '0.0.0.0/0', 'world4', 'drop'],
  ]);
  expect(names('wbf1ee-2', '2001:db8:2::1')).toEqual([
    ...['never6', 'never6', 'named6', 'guarded6', 'accept', 'world6', 'drop'],
  ]);
  expect(rules?.at(-1)).toMatchObject({ verdict: 'drop', counted: { packets: 3, bytes: 180 } });
  for (const foreign of [
    'meta mark 7 accept',
    'ip saddr 10.0.0.1 accept',
    'ip daddr 2001:db8::1 accept',
    'jump x',
  ])
    expect(readOutboundRules(chain.replace('\n  }', `\n    ${foreign}\n  }`))).toBeNull();
});
