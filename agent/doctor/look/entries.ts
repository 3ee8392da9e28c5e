import type { Dirent } from 'node:fs';
import { join } from 'node:path';
import { entriesOf } from '../../kit/entries.ts';
import { NAME_PATTERN, VM_ID_PATTERN } from '../../kit/names.ts';

/** A folder that carries an application's or a VM's name, two levels below a root of ours. Links are not followed. */
export interface VmFolder {
  readonly path: string;
  /** Null: an application's. */
  readonly vmId: string | null;
  readonly entries: readonly Dirent[];
}

export async function vmFoldersBelow(root: string): Promise<readonly VmFolder[]> {
  const found: VmFolder[] = [];
  for (const app of await entriesOf(root)) {
    if (!app.isDirectory() || !NAME_PATTERN.test(app.name)) continue;
    const path = join(root, app.name);
    const entries = await entriesOf(path);
    found.push({ path, vmId: null, entries });
    for (const vm of entries) {
      const vmId = `${app.name}/${vm.name}`;
      if (!vm.isDirectory() || !VM_ID_PATTERN.test(vmId)) continue;
      found.push({ path: join(path, vm.name), vmId, entries: await entriesOf(join(path, vm.name)) });
    }
  }
  return found;
}
