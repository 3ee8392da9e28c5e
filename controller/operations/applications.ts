import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import { type ApplicationRecord, resolveService, type Service } from '../model/index.ts';
import type { PortRanges } from '../model/reserved-ports.ts';
import { MAXIMUM_INSTANCES } from '../model/schema.ts';
import { retiredFlowsAfter } from '../reconciler/flows.ts';
import { formerAfter } from '../reconciler/former-endpoints.ts';
import { retiredAfter } from '../reconciler/retired.ts';
import { change, read } from '../store/change.ts';
import type { Store } from '../store/contract.ts';
import { requireBackups } from './backups.ts';
import { refuseWithoutRoom } from './capacity.ts';
import type { Operations, PlanPreview, UploadedPackages } from './contract.ts';
import { refuseTooManyEndpoints } from './endpoint-limit.ts';
import { readFabric, resolveImages } from './fabric.ts';
import { forecast } from './forecast.ts';
import { refuseOtherNetworks } from './machine-networks.ts';
import { refuseTakenPorts } from './public-ports.ts';
import { refuseReservedPorts } from './reserved-ports.ts';
import { refuseWithoutSubnets } from './subnet-room.ts';

type ApplicationOperations = Pick<Operations, 'apply' | 'plan' | 'scale' | 'deleteApplication'>;

interface ApplicationsOptions {
  readonly store: Store;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  /** At edge hosts. Absent: none. */
  readonly reservedPorts?: PortRanges;
}

export class Applications implements ApplicationOperations {
  readonly #store: Store;
  readonly #catalogue: Catalogue;
  readonly #clock: Clock;
  /** What one application may have depends on what all others have: ports, room. */
  readonly #changes = new ExclusiveRunner();
  readonly #reservedPorts: PortRanges;

  constructor({ store, catalogue, clock, reservedPorts = [] }: ApplicationsOptions) {
    this.#store = store;
    this.#reservedPorts = reservedPorts;
    this.#catalogue = catalogue;
    this.#clock = clock;
  }

  async apply(app: string, source: string, packages: UploadedPackages) {
    const service = serviceOf(app, source, packages);
    const architectures = await resolveImages(this.#catalogue, service);
    await requireBackups(this.#store, service);
    return this.#change(async () => {
      const { value: known, check } = await read<ApplicationRecord>(this.#store, `apps/${app}`);
      refuseDeleting(known);
      if (known && isDeepStrictEqual(known.service, service))
        return { answer: { generation: known.generation, changed: false } };
      await this.#refusePorts(service);
      const fabric = await readFabric(this.#store);
      refuseOtherNetworks(fabric, service);
      await refuseWithoutSubnets(this.#store, fabric, service);
      const nowMs = this.#clock.now();
      refuseWithoutRoom(fabric, forecast(fabric, service, architectures, nowMs));
      const retired = retiredAfter(known, service);
      const record: ApplicationRecord = {
        name: app,
        service,
        source,
        generation: (known?.generation ?? 0) + 1,
        createdAtMs: known?.createdAtMs ?? nowMs,
        deleting: false,
        ...(known?.public ? { public: known.public } : {}),
        ...(known?.publicMachines ? { publicMachines: known.publicMachines } : {}),
        ...retired,
        ...retiredFlowsAfter(known, retired),
        ...formerAfter(known, service),
      };
      return {
        answer: { generation: record.generation, changed: true },
        transaction: { checks: [check], puts: [{ key: check.key, value: record }] },
      };
    });
  }

  async plan(app: string, source: string, packages: UploadedPackages): Promise<PlanPreview> {
    const service = serviceOf(app, source, packages);
    const architectures = await resolveImages(this.#catalogue, service);
    const { value: known } = await read<ApplicationRecord>(this.#store, `apps/${app}`);
    refuseDeleting(known);
    await this.#refusePorts(service);
    const fabric = await readFabric(this.#store);
    refuseOtherNetworks(fabric, service);
    await refuseWithoutSubnets(this.#store, fabric, service);
    const { steps, refusals } = forecast(fabric, service, architectures, this.#clock.now());
    return { steps, refusals };
  }

  scale(app: string, role: string, instances: number) {
    if (!Number.isInteger(instances) || instances < 0 || instances > MAXIMUM_INSTANCES)
      throw new WeftError('bad-request', `a role has 0 to ${MAXIMUM_INSTANCES} instances, not ${instances}`);
    return this.#change(async () => {
      const { value: known, check } = await read<ApplicationRecord>(this.#store, `apps/${app}`);
      if (!known) throw unknownApplication(app);
      refuseDeleting(known);
      const before = Object.hasOwn(known.service.roles, role) ? known.service.roles[role] : undefined;
      if (!before)
        throw new WeftError('not-found', `application ${app} has no role ${role}`, {
          remedy: `Its roles: ${Object.keys(known.service.roles).join(', ') || 'none'}.`,
        });
      if (before.instances === instances) return { answer: { generation: known.generation } };
      const service: Service = {
        ...known.service,
        roles: { ...known.service.roles, [role]: { ...before, instances } },
      };
      if (instances > before.instances) {
        await refuseTakenPorts(this.#store, service);
        await refuseTooManyEndpoints(this.#store, service);
        await this.#refuseWithoutRoom(service);
      }
      const record: ApplicationRecord = { ...known, service, generation: known.generation + 1 };
      return {
        answer: { generation: record.generation },
        transaction: { checks: [check], puts: [{ key: check.key, value: record }] },
      };
    });
  }

  deleteApplication(app: string): Promise<void> {
    return change(this.#store, async () => {
      const { value: known, check } = await read<ApplicationRecord>(this.#store, `apps/${app}`);
      if (!known) throw unknownApplication(app);
      if (known.deleting) return { answer: undefined };
      const record: ApplicationRecord = { ...known, deleting: true, generation: known.generation + 1 };
      return {
        answer: undefined,
        transaction: { checks: [check], puts: [{ key: check.key, value: record }] },
      };
    });
  }

  #change<T>(work: () => ReturnType<Parameters<typeof change<T>>[1]>): Promise<T> {
    return this.#changes.run('', () => change(this.#store, work));
  }

  async #refusePorts(service: Service): Promise<void> {
    refuseReservedPorts(service, this.#reservedPorts);
    await refuseTakenPorts(this.#store, service);
    await refuseTooManyEndpoints(this.#store, service);
  }

  async #refuseWithoutRoom(service: Service): Promise<void> {
    // An image that is gone meanwhile must not keep a running role from being scaled: its instances say so themselves.
    const architectures = await resolveImages(this.#catalogue, service).catch(() => new Map());
    const fabric = await readFabric(this.#store);
    await refuseWithoutSubnets(this.#store, fabric, service);
    refuseWithoutRoom(fabric, forecast(fabric, service, architectures, this.#clock.now()));
  }
}

/** As it will be read back from the store, so that what is equal compares equal. */
function serviceOf(app: string, source: string, packages: UploadedPackages): Service {
  const service = resolveService(source, packages);
  if (service.name !== app)
    throw new WeftError('invalid-model', `this model is of application ${service.name}, not of ${app}`, {
      remedy: `Apply it as ${service.name}, or change its name.`,
    });
  return JSON.parse(JSON.stringify(service)) as Service;
}

function refuseDeleting(record: ApplicationRecord | null): void {
  if (record?.deleting)
    throw new WeftError('conflict', `application ${record.name} is being deleted`, {
      remedy: 'Wait until "weft ls" does not list it any more.',
    });
}

const unknownApplication = (app: string) =>
  new WeftError('not-found', `there is no application ${app}`, { remedy: 'See "weft ls".' });
