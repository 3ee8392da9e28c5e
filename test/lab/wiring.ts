import { exec } from '../../agent/kit/exec.ts';
import {
  bridgeName,
  controllerAddress,
  controllerAddress6,
  hostAddress,
  hostAddress6,
  linkName,
  namespaceName,
} from './layout.ts';
import type { HostState, LabState } from './state.ts';

const ip = (...args: string[]) => exec('ip', args, { timeoutMs: 10_000 });
const ipIfThere = (...args: string[]) => exec('ip', args, { timeoutMs: 10_000, okExitCodes: [0, 1, 2, 255] });

/** The switch that the lab's hosts and its controller hang on. */
export async function createBridge(number: number, has6 = false): Promise<void> {
  const bridge = bridgeName(number);
  await ip('link', 'add', bridge, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
  await ip('address', 'add', `${controllerAddress(number)}/24`, 'dev', bridge);
  if (has6) await ip('address', 'add', `${controllerAddress6(number)}/64`, 'dev', bridge, 'nodad');
  await ip('link', 'set', bridge, 'up');
}

export async function createHostLink(lab: LabState, host: HostState, has6 = false): Promise<void> {
  const namespace = namespaceName(lab.name, host.name);
  const near = linkName(lab.number, host.number);
  await ip('netns', 'add', namespace);
  await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
  await ip('link', 'set', near, 'master', bridgeName(lab.number), 'up');
  await ip('-n', namespace, 'address', 'add', `${hostAddress(lab.number, host.number)}/24`, 'dev', 'eth0');
  const address6 = `${hostAddress6(lab.number, host.number)}/64`;
  if (has6) await ip('-n', namespace, 'address', 'add', address6, 'dev', 'eth0', 'nodad');
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
}

export async function removeWiring(lab: LabState): Promise<void> {
  for (const host of lab.hosts) {
    await ipIfThere('link', 'delete', linkName(lab.number, host.number));
    await ipIfThere('netns', 'delete', namespaceName(lab.name, host.name));
  }
  await ipIfThere('link', 'delete', bridgeName(lab.number));
}

/** Numbers whose bridge or address is taken by anyone on this machine. */
export async function takenNumbers(): Promise<ReadonlySet<number>> {
  const { stdout } = await ip('-json', 'address', 'show');
  const links = JSON.parse(stdout) as { ifname: string; addr_info?: { local?: string }[] }[];
  const taken = new Set<number>();
  for (const link of links) {
    const byName = /^wlab(\d+)$/.exec(link.ifname);
    if (byName) taken.add(Number(byName[1]));
    for (const address of link.addr_info ?? []) {
      const byAddress = /^10\.77\.(\d+)\./.exec(address.local ?? '');
      if (byAddress) taken.add(Number(byAddress[1]));
    }
  }
  return taken;
}

/** Cuts all of a host's traffic, or only what it hears from one other end. */
export async function cut(lab: LabState, host: HostState, from: string | null): Promise<void> {
  if (from === null) {
    await ip('link', 'set', linkName(lab.number, host.number), 'down');
    return;
  }
  const rules = [
    'table inet weft_lab_cut {',
    '  chain input {',
    '    type filter hook input priority -300;',
    `    ip saddr ${from} drop`,
    '  }',
    '}',
    '',
  ].join('\n');
  await exec('ip', ['netns', 'exec', namespaceName(lab.name, host.name), 'nft', '-f', '-'], {
    input: rules,
    timeoutMs: 10_000,
  });
}

export async function mendLink(lab: LabState, host: HostState): Promise<void> {
  await ip('link', 'set', linkName(lab.number, host.number), 'up');
  await exec(
    'ip',
    ['netns', 'exec', namespaceName(lab.name, host.name), 'nft', 'delete', 'table', 'inet', 'weft_lab_cut'],
    {
      okExitCodes: [0, 1],
      timeoutMs: 10_000,
    },
  );
}
