import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeSshKeyPair } from '../../../agent/kit/ssh-keys.ts';
import { Stage } from '../../contract/network/stage.ts';
import { Worker } from '../../contract/network/worker.ts';
import { REPOSITORY } from '../../lab/layout.ts';
import { type Pattern, prepareBareGuest } from '../bare/prepare.ts';
import type { BareShellRun } from '../bare/shell.ts';
import type { RunInGuest } from './guest-tools.ts';
import { endNamespaces } from './namespaces.ts';
import { PLAIN_MTU, PlainPath, type PlainSide, TAP } from './plain-path.ts';

const BOOT_LIMIT_MS = 300_000;

/** Two QEMUs at the ends of a VXLAN made by hand, without libvirt, Weft or a rule. */
export class PlainGuests {
  readonly #stage = new Stage();
  readonly #path = new PlainPath(this.#stage, 'taps');
  readonly #userKey = makeSshKeyPair('bench');
  #folder = '';

  /** @returns shells of both, and where the far one is. */
  async open(
    pattern: Pattern,
  ): Promise<{ readonly near: RunInGuest; readonly far: RunInGuest; readonly address: string }> {
    this.#folder = await mkdtemp('/var/tmp/weft-bench-guests-');
    await this.#stage.open([]);
    await this.#path.open();
    const { near, far } = this.#path;
    const [one, two] = await Promise.all([this.#boot(pattern, near), this.#boot(pattern, far)]);
    return { near: one, far: two, address: far.address };
  }

  async close(): Promise<void> {
    await endNamespaces(this.#stage.namespace(''));
    await this.#stage.close();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  async #boot(pattern: Pattern, side: PlainSide): Promise<RunInGuest> {
    const guest = await prepareBareGuest(pattern, this.#folder, this.#userKey, {
      ...{ name: side.guest, tap: TAP, mac: side.guestMac, mtu: PLAIN_MTU },
      ...{ address: side.address, cidr: `${side.gateway}/24`, gateway: side.gateway },
    });
    const run: BareShellRun = { guest, userPrivateKey: this.#userKey.private, limitMs: BOOT_LIMIT_MS };
    const file = join(this.#folder, `${side.guest}.json`);
    await writeFile(file, JSON.stringify(run), { mode: 0o600 });
    const program = ['--import', 'tsx', join(REPOSITORY, 'test/bench/bare/shell.ts'), file];
    const shell = new Worker(this.#stage.namespace(side.host), [process.execPath, ...program]);
    await shell.ready;
    return (command, input) => shell.ask({ command, ...(input === undefined ? {} : { input }) });
  }
}
