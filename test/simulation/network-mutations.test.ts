import { describe, test } from 'vitest';
import type { RouterPart } from '../../agent/network/router-part.ts';
import type { NetworkRecord } from '../../controller/model/index.ts';
import { plan } from '../../controller/reconciler/plan.ts';
import { expectCaught, type Mutation } from './support/mutation.ts';

/** What was behind other routers stays so for this one, whatever its goals say. */
const forgetsNoGuest = (part: RouterPart, before: RouterPart | null): RouterPart => {
  if (!part.router) return part;
  const named = new Set(part.router.routes.map(({ address }) => address));
  const kept = (before?.router?.routes ?? []).filter(({ address }) => !named.has(address));
  return { ...part, router: { ...part.router, routes: [...part.router.routes, ...kept] } };
};

/** Whatever serves one subnet serves all. */
const letsEveryoneIn = (part: RouterPart): RouterPart => {
  if (!part.router) return part;
  const all = part.router.subnets.map(({ id }) => id);
  const flows = part.router.flows.map((flow) => (flow.protocol === 'any' ? flow : { ...flow, from: all }));
  return { ...part, router: { ...part.router, flows } };
};

/** Where a machine's endpoint leads is not looked at. */
const opensTheWholeSubnet = (part: RouterPart): RouterPart => {
  if (!part.router) return part;
  const flows = part.router.flows.map(({ address: _address, address6: _address6, ...flow }) => flow);
  return { ...part, router: { ...part.router, flows } };
};

const knowsNobodyInItsMeshes = (part: RouterPart): RouterPart => ({
  ...part,
  networks: part.networks.map((network) =>
    network.mesh ? { ...network, mesh: { ...network.mesh, peers: [] } } : network,
  ),
});

/** Whatever a VM had before is free as soon as it has something else. */
const keepsNoAddress: typeof plan = (world, nowMs, settings) => {
  const planned = plan(world, nowMs, settings);
  const successors = new Set(
    [...world.vms.values(), ...planned.puts.map(({ value }) => value as { id: string; successor?: unknown })]
      .filter(({ successor }) => successor)
      .map(({ id, successor }) => `${id}@${(successor as { incarnation: number }).incarnation}`),
  );
  const puts = planned.puts.map(({ key, value }) => {
    if (!key.startsWith('networks/')) return { key, value };
    const network = value as NetworkRecord;
    const addresses = Object.entries(network.addresses).filter(
      ([name]) => !name.includes('@') || successors.has(name),
    );
    return { key, value: { ...network, addresses: Object.fromEntries(addresses) } };
  });
  return { ...planned, puts };
};

const MOVES = ['move', 'reimage', 'scale', 'drain', 'undrain'] as const;

const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a router keeps guests that are elsewhere by now': [
    /takes packets of \S+ on h\d, where nothing of it is/,
    { hostMutation: { network: forgetsNoGuest } },
    MOVES,
  ],
  'a router lets in whom nothing names': [
    /the network is not as declared[\s\S]* reaches shop\//,
    { hostMutation: { network: letsEveryoneIn } },
    MOVES,
  ],
  'the endpoint of one machine opens all on its network': [
    /the network is not as declared[\s\S]* reaches shop\/san/,
    { hostMutation: { network: opensTheWholeSubnet } },
    MOVES,
  ],
  'a mesh ends at its host': [
    /the network is not as declared[\s\S]*shop\/reports-\d does not reach shop\/reports-\d/,
    { hostMutation: { network: knowsNobodyInItsMeshes } },
    ['reimage', 'reboot'],
  ],
  'the address of what was given up is given anew at once': [
    /is given anew while it lives|is used by/,
    { plan: keepsNoAddress },
    ['deaf', 'move', 'reimage', 'mend'],
  ],
};

describe('the simulation catches a network that is broken on purpose', () => {
  test.each(Object.entries(MUTATIONS))('%s', (_name, mutation) => expectCaught(...mutation));
});
