import { writeFile } from 'node:fs/promises';
import { ExclusiveRunner } from '../kit/exclusive-runner.ts';
import { exec } from '../kit/exec.ts';
import type { NetworkGoal } from '../protocol/index.ts';
import type { HostNetwork } from './contract.ts';
import { composeRemoval, composeTable } from './nft-table.ts';

const LIMIT_MS = 10_000;
/** Between requests for a neighbour's address; the kernel's own is a second. */
const RESOLUTION_EVERY_MS = 100;

/** Outbound address translation of guests through nftables. */
export class NftHostNetwork implements HostNetwork {
  readonly #runner = new ExclusiveRunner();
  #applied: string | null = null;

  apply(fleet: string, networks: readonly NetworkGoal[]): Promise<void> {
    return this.#runner.run('table', async () => {
      const text = composeTable(fleet, networks);
      if (text === this.#applied) return;
      this.#applied = null;
      await writeFile('/proc/sys/net/ipv4/ip_forward', '1');
      await exec('nft', ['-f', '-'], { input: text, timeoutMs: LIMIT_MS });
      this.#applied = text;
    });
  }

  async hastenResolution(bridge: string): Promise<void> {
    await writeFile(`/proc/sys/net/ipv4/neigh/${bridge}/retrans_time_ms`, String(RESOLUTION_EVERY_MS)).catch(
      () => undefined,
    );
  }

  remove(fleet: string): Promise<void> {
    return this.#runner.run('table', async () => {
      this.#applied = null;
      await exec('nft', ['-f', '-'], { input: composeRemoval(fleet), timeoutMs: LIMIT_MS });
    });
  }
}
