import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';

/** Domains in which this machine looks names up: its own, and those that its resolver tries (resolv.conf(5)). */
export async function ownDomains(
  resolverFile = '/etc/resolv.conf',
  host = hostname(),
): Promise<readonly string[]> {
  const text = await readFile(resolverFile, 'utf8').catch(() => '');
  return [...new Set([...domainOf(host), ...searched(text)])];
}

const domainOf = (host: string): readonly string[] => {
  const dot = host.indexOf('.');
  return dot < 0 ? [] : [host.slice(dot + 1)];
};

/** Of several lines the last one counts. */
function searched(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => /^\s*(search|domain)\s/.test(line));
  const [, ...domains] = lines.at(-1)?.trim().split(/\s+/) ?? [];
  return domains.filter((domain) => domain !== '.');
}
