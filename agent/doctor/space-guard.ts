import type { Space } from '../disks/pool-watch.ts';
import type { DomainView, HypervisorDriver } from '../hypervisor/driver.ts';
import { type BackOff, backOffMs } from '../kit/back-off.ts';
import type { Logger } from '../kit/log.ts';
import { isFull } from './rules/low-space.ts';
import type { DoctorLimits } from './world.ts';

/** libvirt's reason of a guest that QEMU stopped because its disk had no room; other errors of a disk go to the guest. */
const NO_ROOM = 'io-error';
const AGAIN: BackOff = { firstMs: 5_000, maximumMs: 300_000, factor: 2 };

/** Domains of ours that stand still for want of room, in pools that have room again. Pure. */
export function resumable(
  domains: readonly DomainView[],
  spaces: readonly Space[],
  limits: DoctorLimits,
): readonly string[] {
  return domains
    .filter(({ mark, state, reason }) => mark !== null && state === 'paused' && reason === NO_ROOM)
    .filter(({ overlay }) => {
      const space = spaces.find(({ name, path }) => name !== null && overlay?.startsWith(`${path}/`));
      return space !== undefined && !isFull(space, limits);
    })
    .map(({ name }) => name);
}

/** Pools that take nothing new. Pure. */
export const fullPools = (spaces: readonly Space[], limits: DoctorLimits): readonly string[] =>
  spaces.filter((space) => isFull(space, limits)).flatMap(({ name }) => name ?? []);

/** Lets guests run on when their pool has room again. One that stops again at once is asked less and less often. */
export class SpaceGuard {
  readonly #driver: Pick<HypervisorDriver, 'listDomains' | 'unpauseDomain'>;
  readonly #limits: DoctorLimits;
  readonly #log: Logger;
  readonly #tries = new Map<string, { count: number; notBeforeMs: number }>();

  constructor(
    driver: Pick<HypervisorDriver, 'listDomains' | 'unpauseDomain'>,
    limits: DoctorLimits,
    log: Logger,
  ) {
    this.#driver = driver;
    this.#limits = limits;
    this.#log = log;
  }

  async resume(spaces: readonly Space[], nowMs: number): Promise<void> {
    const names = resumable(await this.#driver.listDomains(), spaces, this.#limits);
    for (const [name, { notBeforeMs }] of this.#tries)
      if (!names.includes(name) && nowMs >= notBeforeMs) this.#tries.delete(name);
    for (const name of names) {
      const tried = this.#tries.get(name) ?? { count: 0, notBeforeMs: 0 };
      if (nowMs < tried.notBeforeMs) continue;
      const count = tried.count + 1;
      this.#tries.set(name, { count, notBeforeMs: nowMs + backOffMs(AGAIN, count) });
      await this.#driver.unpauseDomain(name);
      this.#log.info({ domain: name }, 'its pool has room again: the guest runs on');
    }
  }
}
