import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { VmDetail, VmRow, WeftClient } from '../../controller/client/index.ts';
import { createClient } from '../lab/client.ts';
import { diskOf, supervisedPid } from '../lab/host.ts';
import { Lab, type UpOptions } from '../lab/lab.ts';
import type { Pattern } from './bare/prepare.ts';

const LIMIT_MS = 900_000;

/** A lab of real hosts with golden images, and what a benchmark asks of it. */
export class BenchFleet {
  readonly lab: Lab;
  readonly api: WeftClient;

  private constructor(lab: Lab, api: WeftClient) {
    this.lab = lab;
    this.api = api;
  }

  static async up(
    name: string,
    hosts: number,
    say: (line: string) => void,
    more: Partial<Pick<UpOptions, 'shared' | 'bmc' | 'publicAddresses'>> = {},
  ): Promise<BenchFleet> {
    const lab = await Lab.up({ name, hosts, say, ...more });
    return new BenchFleet(lab, (await createClient(lab.layout.clientConfig)).api);
  }

  async build(recipe: string, say: (line: string) => void): Promise<void> {
    const { job } = await this.api.buildImage({ recipe });
    await this.api.followJob(job, () => undefined);
    say(`image ${recipe}: in the catalogue`);
  }

  /** Applies a model. @returns milliseconds from the call to every one of `count` VMs told ready. */
  async timeToReady(
    app: string,
    source: string,
    count: number,
    packages: Record<string, string> = {},
  ): Promise<number> {
    const changes = this.api.followChanges();
    const ready = new Set<string>();
    const limit = setTimeout(() => void changes.return(undefined), LIMIT_MS);
    let startedMs = Number.NaN;
    try {
      for await (const { event, data } of changes) {
        if (event === 'synced') {
          startedMs = performance.now();
          await this.api.apply(app, source, packages);
        }
        if (event !== 'vm') continue;
        const { id, state } = data as VmRow;
        if (id.startsWith(`${app}/`) && state === 'ready') ready.add(id);
        if (ready.size === count) return performance.now() - startedMs;
      }
    } finally {
      clearTimeout(limit);
    }
    const rows = await this.api.listVms(app);
    throw new Error(`not ready within ${LIMIT_MS} ms: ${JSON.stringify(rows)}`);
  }

  /** Deletes an application and waits until nothing of it is left on any host. */
  async remove(app: string): Promise<void> {
    const changes = this.api.followChanges();
    await this.api.deleteApplication(app);
    for await (const { event } of changes) {
      if (event === 'vm' || event === 'application' || event === 'synced')
        if ((await this.api.listVms(app)).length === 0) return;
    }
  }

  detail(id: string): Promise<VmDetail> {
    return this.api.getVm(id);
  }

  /** What a bare guest must be like to be compared with this running VM. */
  async patternOf(id: string, diskMiB: number): Promise<Pattern> {
    const { host: name, overlay } = await this.detail(id);
    if (name === null || overlay === null) throw new Error(`${id} runs nowhere`);
    const host = await this.lab.host(name);
    const { stdout } = await this.lab.exec(name, ['pgrep', '-f', `qemu-system.*${overlay}`]);
    const pid = stdout.trim().split('\n')[0] ?? '';
    const argv = (await this.lab.exec(name, ['cat', `/proc/${pid}/cmdline`])).stdout.split('\0').slice(0, -1);
    const root = diskOf(this.lab.layout, host);
    const layer = /"filename":"([^"]*blobs[^"]*\.qcow2)"/.exec(argv.join(' '))?.[1];
    if (layer === undefined) throw new Error(`the overlay of ${id} has no layer below it`);
    return { argv, root, layer: join(root, layer), diskMiB };
  }

  /** Resident memory of the controller and of each agent, MiB. */
  async residentMiB(): Promise<{ readonly controller: number; readonly agents: readonly number[] }> {
    const { hosts } = await this.lab.state();
    const agents = await Promise.all(
      hosts.map((host) => supervisedPid(host, 'weft-agent').then(residentMiB)),
    );
    return { controller: await residentMiB(await this.lab.controllerPid()), agents };
  }

  async down(): Promise<void> {
    this.api.close();
    await this.lab.down();
  }
}

async function residentMiB(pid: number): Promise<number> {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kib) / 1024);
}
