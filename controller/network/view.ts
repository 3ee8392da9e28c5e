import { guestAddress6, subnet6Of } from '../../agent/kit/addressing.ts';
import { isSameDocument } from '../../agent/kit/same-document.ts';
import type { EncryptionStanding, VmRecord } from '../model/records.ts';
import { zoneOf } from '../model/zone.ts';
import { publishedBy, servedAt, servingEdges } from '../reconciler/edge-endpoints.ts';
import { type DeclaredFlow, flowsOf, networkNameOf, subnetNamesOf } from '../reconciler/flows.ts';
import { hostNameOf } from '../reconciler/name-records.ts';
import { zoneFor } from '../reconciler/names-goals.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { type Outbound, outboundOf, outboundOfGuest } from '../reconciler/outbound.ts';
import { machineOf, roleOf } from '../reconciler/retired.ts';

export interface GuestView {
  readonly id: string;
  /** Null: a machine. */
  readonly role: string | null;
  readonly address: string;
  readonly address6: string | null;
  readonly host: string | null;
  readonly state: string;
  /** In full; it answers while the guest has a place and somebody serves names. */
  readonly name: string;
}

/** A guest among those of its subnet. */
export interface SubnetGuestView extends GuestView {
  /** What of the world it reaches, where not all of the subnet reach the same. */
  readonly outbound?: Outbound;
}

export interface SubnetView {
  /** `crm/web` */
  readonly id: string;
  /** Null: nothing of it was ever placed. */
  readonly cidr: string | null;
  readonly cidr6: string | null;
  readonly mesh: boolean;
  /** What of the world its guests reach; nothing where each says for itself. */
  readonly outbound: Outbound;
  readonly guests: readonly SubnetGuestView[];
}

export interface PublishedView {
  /** `crm/web/http` */
  readonly id: string;
  readonly type: 'input' | 'instance';
  readonly protocol: string;
  readonly port: number;
  readonly targetPort: number;
  /** Its public ones; where it has none, those of the edge hosts that may be serving now. */
  readonly addresses: readonly string[];
}

/** Id of the role or the machine that an endpoint is of. */
export const endpointOwner = ({ id }: Pick<PublishedView, 'id'>): string => id.slice(0, id.lastIndexOf('/'));

/** The network of an application, as its declaration and the records have it. */
export interface NetworkView {
  readonly app: string;
  /** All of it goes, as soon as it can. */
  readonly deleting: boolean;
  readonly zone: string;
  readonly subnets: readonly SubnetView[];
  readonly flows: readonly DeclaredFlow[];
  readonly published: readonly PublishedView[];
  /** Hosts that may be serving endpoints and names now. */
  readonly edgeHosts: readonly string[];
  /** Of what goes between hosts: what is asked for, and which hosts cannot. */
  readonly encryption: {
    readonly mode: 'off' | 'prefer' | 'require';
    readonly exceptions: readonly {
      readonly host: string;
      readonly state: EncryptionStanding['state'];
      readonly problem: string;
    }[];
  };
  /** In full. */
  readonly names: readonly { readonly name: string; readonly type: string; readonly data: string }[];
}

/** @returns null: there is no such application. */
export function networkView(app: string, world: NetworkWorld): NetworkView | null {
  const application = world.applications.get(app);
  if (!application) return null;
  const zone = zoneOf(world.fleet);
  const own = (name: string) => name === app || name.endsWith(`.${app}`);
  return {
    app,
    deleting: application.deleting,
    zone,
    subnets: subnetNamesOf(application).map((name) => subnetView(app, name, world)),
    flows: flowsOf(application),
    published: publishedViews(app, world),
    edgeHosts: servingEdges([...world.hosts.values()]).map(({ name }) => name),
    encryption: {
      mode: world.fleet.encrypt ?? 'off',
      exceptions: [...world.hosts.values()]
        .flatMap(({ name, encryption }) =>
          encryption?.problem ? [{ host: name, ...encryption, problem: encryption.problem }] : [],
        )
        .sort((one, other) => (one.host < other.host ? -1 : 1)),
    },
    names: zoneFor(world)
      .records.filter(({ name }) => own(name))
      .map(({ name, type, data }) => ({
        name: `${name}.${zone}`,
        type,
        data: type === 'SRV' ? `${data}.${zone}` : data,
      })),
  };
}

function subnetView(app: string, name: string, world: NetworkWorld): SubnetView {
  const id = `${app}/${name}`;
  const network = world.networks.get(id);
  const application = world.applications.get(app);
  const role = roleOf(application, name);
  const guests = [...world.vms.values()]
    .filter((vm) => vm.networkId === id && isWanted(vm))
    .map((vm) => ({ ...guestView(vm, world), outbound: outboundOfGuest(application, vm) }))
    .sort((one, other) => (one.id < other.id ? -1 : 1));
  // One that is declared counts also before it is there.
  const declared = Object.values(application?.service.machines ?? {}).filter(
    (machine) => networkNameOf(machine) === name,
  );
  const all = role
    ? [outboundOf(role)]
    : [...declared.map(outboundOf), ...guests.map(({ outbound }) => outbound)];
  const [first = []] = all;
  const isShared = all.every((each) => isSameDocument(each, first));
  return {
    id,
    cidr: network?.cidr ?? null,
    cidr6: network ? subnet6Of(world.fleet.uuid, network.number) : null,
    mesh: role?.mesh === true,
    outbound: isShared ? first : [],
    guests: guests.map(({ outbound, ...guest }) => (isShared ? guest : { ...guest, outbound })),
  };
}

const isWanted = ({ app, deleting }: VmRecord) => app !== '' && !deleting;

export function guestView(vm: VmRecord, { networks, fleet }: NetworkWorld): GuestView {
  const network = networks.get(vm.networkId);
  const { id, role, address, host, state } = vm;
  const address6 =
    network && address !== '' ? guestAddress6(fleet.uuid, network.number, network.cidr, address) : null;
  return { id, role, address, address6, host, state, name: `${hostNameOf(vm)}.${zoneOf(fleet)}` };
}

/** Name of the subnet that a VM is on. */
export function subnetNameOf(vm: Pick<VmRecord, 'app' | 'id' | 'role'>, world: NetworkWorld): string {
  if (vm.role !== null) return vm.role;
  return networkNameOf(machineOf(world.applications.get(vm.app), vm.id.slice(vm.app.length + 1)));
}

/** Endpoints of an application by which the world gets in, also of what is not declared any more and has yet to drain. */
export function publishedViews(app: string, world: NetworkWorld): readonly PublishedView[] {
  const application = world.applications.get(app);
  if (!application) return [];
  const own = servingEdges([...world.hosts.values()]).flatMap(({ offer }) => offer?.underlay?.address ?? []);
  return publishedBy(application).map(({ owner, name, endpoint: { type, protocol, port, targetPort } }) => ({
    ...{ id: `${app}/${owner}/${name}`, type: type === 'instance' ? type : 'input' },
    ...{ protocol, port, targetPort, addresses: servedAt(application, owner, own) },
  }));
}
