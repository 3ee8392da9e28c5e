import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { exec } from '../../agent/kit/exec.ts';
import { apt } from './apt.ts';
import type { RecipeContext } from './contract.ts';

type Progress = Omit<RecipeContext, 'workFolder'>;

const NONE = 'none';
const QUERY = { timeoutMs: 60_000, env: { LC_ALL: 'C' } } as const;

/** Name and version of the newest kernel package that the meta package stands for, for example `linux-image-6.1.0-56-cloud-amd64`. */
export async function kernelPackage(
  metaPackage: string,
  progress: Progress,
): Promise<{ name: string; version: string }> {
  const look = async () => {
    const { stdout } = await apt('apt-cache', ['depends', '--important', metaPackage], {
      ...QUERY,
      okExitCodes: [0, 100],
      signal: progress.signal,
      say: progress.onLine,
    });
    return /Depends: (linux-image-[a-z0-9.+-]+)/.exec(stdout)?.[1];
  };
  let name = await look();
  if (name === undefined) {
    progress.onLine('refreshing the package lists (apt-get update)');
    const options = { timeoutMs: 300_000, signal: progress.signal, say: progress.onLine };
    await apt('apt-get', ['update', '-q'], options);
    name = await look();
  }
  if (name === undefined)
    throw new WeftError('set-up', `this machine’s apt sources have no ${metaPackage}`, {
      remedy: 'Add Debian 12 (bookworm) to /etc/apt/sources.list.d and run apt-get update.',
    });
  const [version = NONE] = await candidateVersions([name], progress.onLine);
  return { name, version };
}

/**
 * The versions that `apt-get download` would fetch. One program for all of them: each reads, or makes, the whole cache.
 * @param say is told when another apt has to be waited for.
 */
export async function candidateVersions(
  names: readonly string[],
  say: (line: string) => void,
): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const { stdout } = await apt('apt-cache', ['policy', ...names], { ...QUERY, say });
  return readCandidates(stdout, names);
}

/** From `apt-cache policy`: a package's lines are below its name; one that is not known has none. */
export function readCandidates(output: string, names: readonly string[]): readonly string[] {
  const found = new Map<string, string>();
  let name = '';
  for (const line of output.split('\n')) {
    name = /^(\S+):$/.exec(line)?.[1] ?? name;
    const version = /^ {2}Candidate: (\S+)/.exec(line)?.[1];
    if (version !== undefined) found.set(name, version);
  }
  return names.map((each) => found.get(each) ?? NONE);
}

/** The version installed on this machine; empty when it is not. */
export async function installedVersion(name: string): Promise<string> {
  const { stdout } = await exec('dpkg-query', ['-W', '-f', `\${Version}`, name], {
    ...QUERY,
    okExitCodes: [0, 1],
  });
  return stdout.trim();
}

/** Fetches one package and unpacks its files (running none of its scripts) under a new folder. @returns that folder. */
export async function unpackPackage(name: string, context: RecipeContext): Promise<string> {
  const folder = join(context.workFolder, `package-${name}`);
  const root = join(folder, 'root');
  await mkdir(root, { recursive: true });
  context.onLine(`fetching ${name}`);
  const options = { cwd: folder, timeoutMs: 600_000, signal: context.signal };
  const download = ['download', '-q', '-o', 'APT::Sandbox::User=root', name];
  await apt('apt-get', download, { ...options, say: context.onLine });
  const archive = (await readdir(folder)).find((file) => file.endsWith('.deb'));
  if (archive === undefined)
    throw new WeftError('command-failed', `apt-get download left no package ${name}`);
  await exec('dpkg-deb', ['-x', join(folder, archive), root], options);
  await rm(join(folder, archive));
  return root;
}
