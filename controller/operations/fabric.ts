import { WeftError } from '../../agent/kit/errors.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { ClaimsRecord, HostRecord, Service, VmRecord } from '../model/index.ts';
import type { Store } from '../store/contract.ts';

/** What a forecast is made from. Read in pieces: what was forecast is checked again when the reconciler places. */
export interface Fabric {
  readonly hosts: readonly HostRecord[];
  /** By host. */
  readonly claims: ReadonlyMap<string, ClaimsRecord>;
  /** By id; of every application. */
  readonly vms: ReadonlyMap<string, VmRecord>;
}

/** Image as written in a model → the architecture of what it means now. */
export type Architectures = ReadonlyMap<string, 'x86_64' | 'aarch64'>;

export async function readFabric(store: Store): Promise<Fabric> {
  const [hosts, claims, vms] = await Promise.all([
    listOf<HostRecord>(store, 'hosts/'),
    listOf<ClaimsRecord>(store, 'claims/'),
    listOf<VmRecord>(store, 'vms/'),
  ]);
  return { hosts: [...hosts.values()], claims, vms };
}

/** Every image of the service is known. @throws WeftError `not-found` that names the role or machine. */
export async function resolveImages(catalogue: Catalogue, service: Service): Promise<Architectures> {
  const users = new Map<string, string>();
  for (const [name, { image }] of [...Object.entries(service.roles), ...Object.entries(service.machines)])
    if (!users.has(image)) users.set(image, name);
  const found = await Promise.all(
    [...users].map(async ([image, user]) => {
      const record = await catalogue.resolve(image).catch((thrown: unknown) => {
        const error = WeftError.from(thrown);
        throw new WeftError(error.code, `${user} asks for image ${image}: ${error.message}`, {
          remedy: error.remedy ?? 'Publish it with "weft image build" or "weft image import".',
          cause: thrown,
          ...(error.details === undefined ? {} : { details: error.details }),
        });
      });
      return [image, record.goal.architecture] as const;
    }),
  );
  return new Map(found);
}

async function listOf<T>(store: Store, prefix: string): Promise<ReadonlyMap<string, T>> {
  const { entries } = await store.list(prefix);
  return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), value as T]));
}
