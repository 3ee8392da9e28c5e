import { chmod, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { entriesOf } from '../kit/entries.ts';
import { VM_ID_PATTERN } from '../kit/names.ts';
import type { AgentPaths } from './paths.ts';

/** The folders of this host's VMs, each with a seed and a console log. */
export interface VmFolders {
  /** Ids of the VMs that have one. */
  list(): Promise<readonly string[]>;
  /** Makes it, if it is not there. */
  prepare(vmId: string): Promise<void>;
  /** Removes it and all that is in it. */
  remove(vmId: string): Promise<void>;
}

export class LocalVmFolders implements VmFolders {
  readonly #paths: AgentPaths;

  constructor(paths: AgentPaths) {
    this.#paths = paths;
  }

  async list(): Promise<readonly string[]> {
    const { run } = this.#paths;
    const apps = await folders(run);
    const found = await Promise.all(apps.map((app) => folders(join(run, app))));
    return found
      .flatMap((names, index) => names.map((name) => `${apps[index]}/${name}`))
      .filter((id) => VM_ID_PATTERN.test(id));
  }

  /** QEMU runs as libvirt's own user: it may walk down to its seed, not look around. */
  async prepare(vmId: string): Promise<void> {
    const folder = this.#paths.vm(vmId);
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o711);
  }

  async remove(vmId: string): Promise<void> {
    const folder = this.#paths.vm(vmId);
    await rm(folder, { recursive: true, force: true });
    // Its application's folder goes with the last one in it; until then it is not empty.
    await rmdir(dirname(folder)).catch(() => undefined);
  }
}

const folders = async (parent: string) =>
  (await entriesOf(parent)).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
