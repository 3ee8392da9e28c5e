import { access, constants } from 'node:fs/promises';
import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import type { UnderlayOffer } from '../protocol/index.ts';
import type { TunnelSettings } from './kernel-tunnel.ts';
import { fleetPrefix } from './names.ts';
import { openTunnelKey } from './tunnel-key.ts';
import type { TunnelMaker } from './tunnel-plan.ts';

const LIMIT_MS = 10_000;
/** Of looks at what was missing: a module or a program may come later. */
const LOOKS_BETWEEN_TRIES = 6;

const LONGEST = 1_024;

/** What this host says of WireGuard to its fleet. */
type Encryption = NonNullable<UnderlayOffer['encryption']>;

/** Whether this host can encrypt, found by trying. Once it can, it is taken to go on with that, and says what is in the way. */
export class TunnelAbility {
  readonly #fleet: string;
  readonly #settings: TunnelSettings;
  readonly #trouble: () => string | null;
  /** Null: it can. Undefined: it was not tried. */
  #problem: string | null | undefined;
  #looks = 0;

  /** @param trouble with the tunnel that there is, or should be; null: none. */
  constructor(fleet: string, settings: TunnelSettings, trouble: () => string | null) {
    this.#fleet = fleet;
    this.#settings = settings;
    this.#trouble = trouble;
  }

  async look(): Promise<Encryption> {
    const { maker, keyFile } = this.#settings;
    if (maker === 'off') return cannot('its agent.yaml says wireguard: off');
    if (this.#problem !== null && this.#looks++ % LOOKS_BETWEEN_TRIES === 0)
      this.#problem = (await programProblem()) ?? (await makerProblem(this.#fleet, maker));
    if (this.#problem) return cannot(this.#problem);
    try {
      const { publicKey } = await openTunnelKey(keyFile);
      return { publicKey, problem: this.#trouble()?.slice(0, LONGEST) ?? null };
    } catch (error) {
      return cannot(`its key could not be made: ${WeftError.from(error).message}`);
    }
  }
}

const cannot = (problem: string): Encryption => ({ publicKey: null, problem: problem.slice(0, LONGEST) });

/** @returns null: it runs. */
const trial = (program: string, args: readonly string[]): Promise<string | null> =>
  exec(program, args, { timeoutMs: LIMIT_MS }).then(
    () => null,
    (error: unknown) => WeftError.from(error).message,
  );

const programProblem = async () =>
  (await trial('wg', ['--version'])) === null
    ? null
    : 'the program wg is not there (Debian: wireguard-tools)';

async function makerProblem(fleet: string, maker: TunnelMaker): Promise<string | null> {
  if (maker === 'kernel') return kernelProblem(fleet);
  if ((await trial('wireguard-go', ['--version'])) !== null)
    return 'the program wireguard-go is not there, and its agent.yaml says wireguard: userspace';
  return access('/dev/net/tun', constants.R_OK | constants.W_OK).then(
    () => null,
    () => 'wireguard-go has no /dev/net/tun on it',
  );
}

/** By a device that is made for the trial, and goes at once. */
async function kernelProblem(fleet: string): Promise<string | null> {
  const device = `wg${fleetPrefix(fleet)}-try`;
  // Of an agent that was killed in its trial.
  await trial('ip', ['link', 'delete', 'dev', device]);
  const problem = await trial('ip', ['link', 'add', device, 'type', 'wireguard']);
  await trial('ip', ['link', 'delete', 'dev', device]);
  return problem === null ? null : `its kernel has no WireGuard (${problem})`;
}
