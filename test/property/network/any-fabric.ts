import fc from 'fast-check';
import { addressAt, macOf } from '../../../agent/kit/addressing.ts';
import type {
  ApplicationRecord,
  HostRecord,
  NetworkRecord,
  VmRecord,
} from '../../../controller/model/index.ts';
import type { Endpoint, Machine, Role } from '../../../controller/model/service.ts';
import { aMachine, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';
import { aVm } from '../../support/builders/vm.ts';

export const ROLES = ['a', 'b', 'c', 'd'];
export const NETWORKS = ['machines', 'back'];
const PORTS = [80, 443, 5432];
export const HOSTS = ['h1', 'h2', 'h3', 'h4'];

const anyEndpoint: fc.Arbitrary<Endpoint> = fc.record({
  type: fc.constantFrom('input', 'internal', 'internal', 'instance'),
  protocol: fc.constantFrom('tcp', 'http', 'udp'),
  port: fc.constantFrom(...PORTS),
  targetPort: fc.constantFrom(...PORTS),
  from: fc.uniqueArray(fc.constantFrom(...ROLES, ...NETWORKS), { maxLength: 2 }),
});
const anyEndpoints = fc.dictionary(fc.constantFrom('x', 'y'), anyEndpoint, { maxKeys: 2 });
const anyRole: fc.Arbitrary<Role> = fc
  .record({
    endpoints: anyEndpoints,
    instances: fc.integer({ min: 0, max: 3 }),
    mesh: fc.boolean(),
    outbound: fc.constantFrom<Role['outbound']>(undefined, false, ['10.0.0.0/8']),
  })
  .map(({ mesh, outbound, ...role }) =>
    aRole({ ...role, ...(mesh ? { mesh } : {}), ...(outbound === undefined ? {} : { outbound }) }),
  );
const anyMachine: fc.Arbitrary<Machine> = fc
  .record({
    endpoints: anyEndpoints,
    network: fc.constantFrom(undefined, 'back'),
    outbound: fc.constantFrom<Machine['outbound']>(undefined, false, ['10.0.0.0/8']),
  })
  .map(({ endpoints, network, outbound }) =>
    aMachine({
      endpoints,
      ...(network ? { network } : {}),
      ...(outbound === undefined ? {} : { outbound }),
    }),
  );

/** What is declared of one application. Ports may clash: that is another matter. */
export const anyDeclared = fc.record({
  roles: fc.dictionary(fc.constantFrom(...ROLES), anyRole, { maxKeys: 4 }),
  machines: fc.dictionary(fc.constantFrom('m', 'n'), anyMachine, { maxKeys: 2 }),
});
export type AnyDeclared = typeof anyDeclared extends fc.Arbitrary<infer T> ? T : never;

export const anyHost = fc.record({
  underlay: fc.boolean(),
  /** It says that it is where the third host is. */
  isElsewhere: fc.boolean(),
  state: fc.constantFrom('up' as const, 'down' as const),
  mtu: fc.constantFrom(1_500, 9_000),
  edge: fc.constantFrom(undefined, true, false),
  label: fc.constantFrom(undefined, 'true', 'false'),
  /** Two hosts may have one. */
  key: fc.constantFrom(undefined, null, 'a', 'b', 'c'),
});
type AnyHost = Omit<typeof anyHost extends fc.Arbitrary<infer T> ? T : never, 'key'> & {
  readonly key?: string | null | undefined;
};

export function hostOf(name: string, any: AnyHost): HostRecord {
  const { underlay, isElsewhere, state, mtu, edge, label, key } = any;
  const host = aHost(name);
  const { offer } = host;
  if (!offer) throw new TypeError('it offers something');
  const at = Number(name.slice(1));
  const address = `192.168.7.${isElsewhere ? 3 : at}`;
  return {
    ...{ ...host, state },
    number: at + 1,
    offer: {
      ...offer,
      ...(underlay
        ? {
            underlay: {
              ...{ address, mtu, networks: ['192.168.7.0/24'] },
              ...(key === undefined ? {} : { encryption: encryptionBy(key) }),
            },
          }
        : {}),
      ...(edge === undefined ? {} : { edge }),
      labels: label === undefined ? {} : { edge: label },
    },
  };
}

const encryptionBy = (key: string | null) =>
  key === null
    ? { publicKey: null, problem: 'it has no WireGuard' }
    : { publicKey: `${key.repeat(42)}A=`, problem: null };

export const applicationOf = (name: string, declared: AnyDeclared): ApplicationRecord =>
  anApplication(name, declared);

/** Every guest that an application may have, and the one subnet that it is on. @param place on which host each is; null: on none yet. */
export function guestsOf(
  { name, service }: ApplicationRecord,
  firstNumber: number,
  place: (id: string) => string | null,
): { readonly vms: readonly VmRecord[]; readonly networks: readonly NetworkRecord[] } {
  const vms: VmRecord[] = [];
  const networks = new Map<string, NetworkRecord>();
  const add = (guest: string, subnet: string, overrides: Partial<VmRecord>) => {
    const networkId = `${name}/${subnet}`;
    const number = firstNumber + [...ROLES, ...NETWORKS].indexOf(subnet);
    const base = 10 * 2 ** 24 + 128 * 2 ** 16 + (number - 1) * 1_024;
    const known = networks.get(networkId);
    const address = addressAt(base + 10 + Object.keys(known?.addresses ?? {}).length);
    const id = `${name}/${guest}`;
    networks.set(networkId, {
      ...{ id: networkId, number, cidr: `${addressAt(base)}/22`, gateway: addressAt(base + 1) },
      addresses: { ...known?.addresses, [id]: address },
    });
    vms.push(
      aVm({
        ...overrides,
        id,
        app: name,
        networkId,
        address,
        mac: macOf(address),
        host: place(id),
        readyAtMs: 0,
      }),
    );
  };
  for (const [role, { instances }] of Object.entries(service.roles))
    for (let index = 0; index < instances; index++) add(`${role}-${index}`, role, { role, index });
  for (const [machine, { network = 'machines' }] of Object.entries(service.machines))
    add(machine, network, { role: null, index: null, kind: 'machine' });
  return { vms, networks: [...networks.values()] };
}
