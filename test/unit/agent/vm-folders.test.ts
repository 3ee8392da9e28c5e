import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AgentPaths } from '../../../agent/executor/paths.ts';
import { LocalVmFolders } from '../../../agent/executor/vm-folders.ts';

let root: string;
let paths: AgentPaths;
let folders: LocalVmFolders;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft-folders-'));
  paths = new AgentPaths(root);
  folders = new LocalVmFolders(paths);
});
afterEach(() => rm(root, { recursive: true, force: true }));

test('a host that never had a VM has no folders', async () => {
  expect(await folders.list()).toEqual([]);
});

test('a folder is made once, can be walked through but not read by others, and goes with all that is in it', async () => {
  await folders.prepare('crm/web-0');
  await writeFile(paths.consoleLog('crm/web-0'), 'boot');
  await folders.prepare('crm/web-0');
  await folders.prepare('crm/web-1');
  expect((await stat(paths.vm('crm/web-0'))).mode & 0o777).toBe(0o711);
  expect([...(await folders.list())].sort()).toEqual(['crm/web-0', 'crm/web-1']);
  await folders.remove('crm/web-0');
  await folders.remove('crm/web-0');
  expect(await folders.list()).toEqual(['crm/web-1']);
  await folders.remove('crm/web-1');
  await expect(stat(join(paths.run, 'crm'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('what no VM can be called is not listed', async () => {
  await mkdir(join(paths.run, 'crm', 'NOT-A-VM'), { recursive: true });
  await mkdir(join(paths.run, '.hidden', 'web-0'), { recursive: true });
  await writeFile(join(paths.run, 'a-file'), '');
  expect(await folders.list()).toEqual([]);
});
