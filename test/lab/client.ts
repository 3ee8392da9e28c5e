import { setTimeout as sleep } from 'node:timers/promises';
import { type HostRow, WeftClient } from '../../controller/client/index.ts';

export interface LabClient {
  readonly api: WeftClient;
  mintJoinToken(label: string): Promise<string>;
  /** Waits until these hosts are up. @returns those that were not within the limit. */
  waitForHosts(names: readonly string[], limitMs: number): Promise<readonly string[]>;
  /** Waits until all of these hosts offer all of these pools. @returns the hosts that did not within the limit. */
  waitForPools(
    hosts: readonly string[],
    pools: readonly string[],
    limitMs: number,
  ): Promise<readonly string[]>;
}

export async function createClient(configFile: string): Promise<LabClient> {
  const api = await WeftClient.fromFile(configFile);
  const waitFor = async (names: readonly string[], limitMs: number, isGood: (host: HostRow) => boolean) => {
    let missing = names;
    for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 100) {
      const hosts = await api.listHosts().catch(() => []);
      missing = names.filter((name) => !hosts.some((host) => host.name === name && isGood(host)));
      if (missing.length === 0) break;
      await sleep(100);
    }
    return missing;
  };
  return {
    api,
    mintJoinToken: async (label) => (await api.createHostToken({ label })).token,
    waitForHosts: (names, limitMs) => waitFor(names, limitMs, ({ state }) => state === 'up'),
    waitForPools: (hosts, pools, limitMs) =>
      waitFor(hosts, limitMs, (host) => pools.every((pool) => host.pools.some(({ name }) => name === pool))),
  };
}
