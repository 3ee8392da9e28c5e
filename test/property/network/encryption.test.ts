import fc from 'fast-check';
import { expect, test } from 'vitest';
import { composeInetTable } from '../../../agent/network/inet-table.ts';
import { composeLinks } from '../../../agent/network/links-wanted.ts';
import { tableName } from '../../../agent/network/names.ts';
import { type Blocks, readBlocks } from '../../../agent/network/nft-blocks.ts';
import type { BackbonePart } from '../../../agent/network/router-part.ts';
import type { FleetRecord, HostRecord } from '../../../controller/model/records.ts';
import { backboneGoalOf } from '../../../controller/reconciler/backbone-goals.ts';
import { aGuest, FLEET, partOf } from '../../contract/network/fleet.ts';
import { aHost } from '../../support/builders/host.ts';

const HOSTS = ['h1', 'h2', 'h3', 'h4'];
const GUESTS = HOSTS.map((host, index) => aGuest('shop/db', index, host));
const MODES = [undefined, 'prefer', 'require'] as const;
type Mode = FleetRecord['encrypt'];
/** What a host's agent says of its key. Undefined: it is older than that. Two may say the same. */
const anyKey = fc.constantFrom(undefined, null, 'a', 'b', 'c', 'd', 'e');
type Key = string | null | undefined;

/** A moment: what is asked for, and what hosts have said until then. */
interface Moment {
  readonly mode: Mode;
  readonly keys: readonly Key[];
}
const anyMoment = fc.record({
  mode: fc.constantFrom(...MODES),
  keys: fc.array(anyKey, { minLength: HOSTS.length, maxLength: HOSTS.length }),
});

const addressOf = (host: string, six: boolean) =>
  six ? `2001:db8:1::1${host.slice(1)}` : `192.0.2.1${host.slice(1)}`;

function hostAt(name: string, key: Key, six: boolean): HostRecord {
  const publicKey = key ? `${key.repeat(42)}A=` : null;
  const encryption = { publicKey, problem: publicKey === null ? 'its kernel has no WireGuard' : null };
  const underlay = { address: addressOf(name, six), mtu: 1_500, networks: [] };
  const shape = { underlay: { ...underlay, ...(key === undefined ? {} : { encryption }) } };
  return aHost(name, shape, { number: Number(name.slice(1)) + 1 });
}

/** What a host is told at that moment. */
function toldAt({ mode, keys }: Moment, host: string, six: boolean): BackbonePart {
  const fleet = { uuid: FLEET, epoch: 1, range: '10.128.0.0/10', ...(mode ? { encrypt: mode } : {}) };
  const hosts = new Map(HOSTS.map((name, index) => [name, hostAt(name, keys[index], six)]));
  const backbone = backboneGoalOf(host, {
    ...{ fleet, hosts },
    ...{ applications: new Map(), networks: new Map(), vms: new Map() },
  });
  if (!backbone) throw new TypeError('each has a place on the backbone');
  return { ...partOf(host, GUESTS), backbone };
}

const rulesOf = (part: BackbonePart): Blocks => readBlocks(composeInetTable(part, [], []));

/** What becomes of a packet of VXLAN on the host's own link, by one chain of its rules. */
function passesInTheOpen(blocks: Blocks, chain: 'vxlan' | 'sealed', address: string): boolean {
  const rules = blocks.get(`inet ${tableName(FLEET)} chain ${chain}`)?.items ?? [];
  const family = address.includes(':') ? 'ip6' : 'ip';
  for (const rule of rules) {
    const [, of, isNot, set = ''] = /\b(ip6?) [sd]addr (!= )?(?:vmap )?\{ ([^}]*) \}/.exec(rule) ?? [];
    const isIn = set.split(', ').some((each) => each.split(' ')[0] === address);
    if (of !== undefined && (of !== family || isIn === (isNot !== undefined))) continue;
    return !rule.endsWith('drop');
  }
  return true;
}

/** Where forwarding entries of a goal lead by no tunnel. */
const openWays = (part: BackbonePart): ReadonlySet<string | null> =>
  new Set(composeLinks(part).forwards.flatMap(({ via, through }) => (through === null ? via : [])));

test('who is told to encrypt all takes and sends nothing in the open, whatever others were told, and whatever it was told before', () => {
  fc.assert(
    fc.property(fc.array(anyMoment, { maxLength: 3 }), anyMoment, fc.boolean(), (before, moment, six) => {
      const now = { ...moment, mode: 'require' as const };
      for (const host of HOSTS) {
        const rules = rulesOf(toldAt(now, host, six));
        for (const other of HOSTS.filter((each) => each !== host))
          expect(passesInTheOpen(rules, 'vxlan', addressOf(other, six)), `${host} takes from ${other}`).toBe(
            false,
          );
        // Its forwarding entries may still be those of any goal before.
        for (const told of [now, ...before])
          for (const to of openWays(toldAt(told, host, six)))
            if (to !== null)
              expect(passesInTheOpen(rules, 'sealed', to), `${host} sends to ${to}`).toBe(false);
      }
    }),
  );
});

test('once two hosts are told the same, each takes what the other sends: both by the tunnel, or both in the open, or nothing', () => {
  fc.assert(
    fc.property(anyMoment, fc.boolean(), (moment, six) => {
      const hosts = HOSTS.map((host) => {
        const part = toldAt(moment, host, six);
        return { host, part, rules: rulesOf(part), open: openWays(part) };
      });
      const wayTo = ({ backbone }: BackbonePart, to: string) => {
        const found = backbone.others.find(({ host }) => host === to);
        if (!found) return 'none';
        return found.publicKey === undefined ? 'open' : 'sealed';
      };
      for (const one of hosts)
        for (const other of hosts.filter((each) => each !== one)) {
          const way = wayTo(one.part, other.host);
          const to = addressOf(other.host, six);
          const isSent = one.open.has(to) && passesInTheOpen(one.rules, 'sealed', to);
          const isTaken = passesInTheOpen(other.rules, 'vxlan', addressOf(one.host, six));
          expect([one.host, other.host, wayTo(other.part, one.host)]).toEqual([one.host, other.host, way]);
          expect([one.host, other.host, isSent, isTaken]).toEqual([
            ...[one.host, other.host],
            ...[way === 'open', way === 'open'],
          ]);
        }
    }),
  );
});
