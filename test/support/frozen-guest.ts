import type { Lab } from '../lab/lab.ts';
import { waitFor } from './wait-for.ts';
import type { Weft } from './weft.ts';

const HOOK = '/etc/qemu/fsfreeze-hook.d/note';
/** Says what it is called for, and holds a freeze up for as long as /run/hold is there. */
const NOTE = [
  '#!/bin/sh',
  'echo "$1" >>/run/freezes',
  'while [ "$1 $(ls /run/hold)" = "freeze /run/hold" ]; do sleep 0.1; done',
];

/** A guest of the tiny-full image, seen from its agent: from within, and from its host, past Weft. */
export class FrozenGuest {
  readonly #weft: Weft;
  readonly #lab: Lab;
  readonly #vmId: string;
  readonly #host: string;
  readonly #domain: string;

  private constructor(weft: Weft, lab: Lab, vmId: string, host: string, domain: string) {
    this.#weft = weft;
    this.#lab = lab;
    this.#vmId = vmId;
    this.#host = host;
    this.#domain = domain;
  }

  /** Waits until its agent answers, and puts a hook into it that tells of each freeze and thaw. */
  static async of(weft: Weft, lab: Lab, vmId: string, host: string): Promise<FrozenGuest> {
    const { stdout } = await lab.exec(host, ['virsh', '-q', '-c', 'qemu:///system', 'list', '--name']);
    const domain = stdout.split('\n').find((name) => name.includes(`-${vmId.replace('/', '-')}-`));
    if (domain === undefined) throw new Error(`${host} does not run ${vmId}: ${stdout}`);
    const guest = new FrozenGuest(weft, lab, vmId, host, domain);
    await guest.until('thawed');
    const lines = NOTE.map((line) => `'${line}'`).join(' ');
    await guest.ssh(
      `mkdir -p ${HOOK.replace(/\/note$/, '')}; printf '%s\\n' ${lines} >${HOOK}; chmod +x ${HOOK}`,
    );
    return guest;
  }

  ssh(command: string): Promise<string> {
    return this.#weft.inside(this.#vmId, command);
  }

  async virsh(...command: readonly string[]): Promise<string> {
    return (
      await this.#lab.exec(
        this.#host,
        [
          'virsh',
          '-q',
          '-c',
          'qemu:///system',
          ...command.map((word) => (word === 'DOMAIN' ? this.#domain : word)),
        ],
        {
          timeoutMs: 120_000,
        },
      )
    ).stdout.trim();
  }

  /** What its agent says of its file systems; empty while that does not answer. */
  async status(): Promise<string> {
    const answer = await this.virsh(
      'qemu-agent-command',
      'DOMAIN',
      '{"execute":"guest-fsfreeze-status"}',
    ).catch(() => null);
    return answer === null ? '' : String((JSON.parse(answer) as { return: unknown }).return);
  }

  until(status: 'frozen' | 'thawed'): Promise<string> {
    return waitFor(
      `${this.#vmId} to be ${status}`,
      () => this.status(),
      (found) => found === status,
    );
  }

  /** What it was called for since it was last asked, one word a call. */
  async freezes(): Promise<readonly string[]> {
    return (await this.ssh('cat /run/freezes 2>/dev/null; rm -f /run/freezes'))
      .split('\n')
      .filter((word) => word !== '');
  }

  /** The next freeze is not done before it is let go. */
  async hold(): Promise<void> {
    await this.ssh('touch /run/hold');
  }

  async untilHeld(): Promise<void> {
    await waitFor(
      `${this.#vmId} to be asked to freeze`,
      () => this.ssh('tail -n 1 /run/freezes 2>/dev/null || true'),
      (last) => last === 'freeze',
    );
  }

  /** By its serial console, from its host: no agent of Weft's is needed. */
  async letGo(): Promise<void> {
    const terminal = await waitFor(
      'its console',
      // libvirtd may be on its way back.
      () => this.virsh('ttyconsole', 'DOMAIN').catch(() => ''),
      (path) => path !== '',
    );
    // QEMU reads a terminal only while somebody has it open: until the guest has answered. What it echoes has no 2 in it.
    const say =
      'exec 3<>"$0"; printf "\\nrm -f /run/hold; echo gone-\\$((1+1))\\n" >&3; grep -q -m1 gone-2 <&3';
    await this.#lab.exec(this.#host, ['sh', '-c', say, terminal], { timeoutMs: 60_000 });
  }
}
