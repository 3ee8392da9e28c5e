import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { type ExecResult, exec } from '../../agent/kit/exec.ts';
import type { FenceDevice } from '../../agent/protocol/index.ts';
import { checkHostOptions } from './host-options.ts';
import { redact } from './redact.ts';
import { type FenceSecret, readFenceSecret } from './secret-file.ts';

/** What a fence device can be asked. The seam below which real devices are. */
export interface DeviceRunner {
  /**
   * Returns when the device says that the power is off; it may have been before.
   * @returns what it said. @throws WeftError otherwise: one line, no secrets.
   */
  off(device: FenceDevice, signal: AbortSignal): Promise<string>;
  /** @throws WeftError when it does not say: one line, no secrets. */
  status(
    device: FenceDevice,
    signal: AbortSignal,
  ): Promise<{ readonly power: 'on' | 'off'; readonly message: string }>;
}

export interface FenceAgentsOptions {
  /** Passwords of the devices, a file each: `<state>/secrets/fence`. */
  readonly secretsFolder: string;
  /** Where the programs are; nothing else is looked at. */
  readonly folders?: readonly string[];
  readonly limitMs?: number;
}

type Action = 'off' | 'status';

const PROGRAM = /^fence_[a-z0-9_]{1,48}$/;
const FOLDERS = ['/usr/sbin', '/usr/bin'];
const LIMIT_MS = 30_000;
/** Between a request to end and the end by force; and as long again until it is not waited for any more. */
const GRACE_MS = 1_000;
/** Of `timeout`: ended in time, and by force. https://www.gnu.org/software/coreutils/manual/html_node/timeout-invocation.html */
const TIMED_OUT = new Set([124, 137]);
const ANY_EXIT_CODE = Array.from({ length: 256 }, (_, code) => code);
/** https://github.com/ClusterLabs/fence-agents/blob/main/doc/FenceAgentAPI.md */
const STATUS_OFF = 2;

/** Programs of fence-agents. Options go in by stdin, `key=value` lines: never in arguments, which every process can read. */
export class FenceAgents implements DeviceRunner {
  readonly #options: Required<FenceAgentsOptions>;

  constructor(options: FenceAgentsOptions) {
    this.#options = { folders: FOLDERS, limitMs: LIMIT_MS, ...options };
  }

  async off(device: FenceDevice, signal: AbortSignal): Promise<string> {
    const { exitCode, message } = await this.#run(device, 'off', signal);
    if (exitCode === 0) return message || 'off';
    throw failed(exitCode, message);
  }

  async status(device: FenceDevice, signal: AbortSignal) {
    const { exitCode, message } = await this.#run(device, 'status', signal);
    if (exitCode === 0) return { power: 'on' as const, message: message || 'on' };
    if (exitCode === STATUS_OFF) return { power: 'off' as const, message: message || 'off' };
    throw failed(exitCode, message);
  }

  async #run(device: FenceDevice, action: Action, signal: AbortSignal) {
    checkHostOptions(device);
    const program = await this.#find(device.agent);
    const secret =
      device.secret === undefined ? null : await readFenceSecret(this.#options.secretsFolder, device.secret);
    const result = await this.#exec(program, inputOf(device, secret, action), signal).catch(
      (thrown: unknown) => {
        const { code, message } = WeftError.from(thrown);
        throw new WeftError(code, redact(message, secret));
      },
    );
    const { exitCode, stdout, stderr } = result;
    const hasAnswered = exitCode === 0 || (action === 'status' && exitCode === STATUS_OFF);
    return { exitCode, message: redact(hasAnswered ? stdout : stderr || stdout, secret) };
  }

  /** By way of `timeout`, which also ends what the program has started: ipmitool, ssh, a telnet session. */
  async #exec(program: string, input: string, signal: AbortSignal): Promise<ExecResult> {
    const { limitMs } = this.#options;
    const limit = [`--kill-after=${GRACE_MS / 1000}`, String(limitMs / 1000)];
    const result = await exec('/usr/bin/timeout', [...limit, program], {
      input,
      signal,
      cwd: '/',
      env: { PYTHONWARNINGS: 'ignore' },
      timeoutMs: limitMs + 2 * GRACE_MS,
      okExitCodes: ANY_EXIT_CODE,
    });
    if (!TIMED_OUT.has(result.exitCode)) return result;
    throw new WeftError('timeout', `it did not end within ${limitMs / 1000} s`);
  }

  async #find(agent: string): Promise<string> {
    if (!PROGRAM.test(agent)) throw new WeftError('not-supported', `${agent} is no name of a fence agent`);
    for (const folder of this.#options.folders) {
      const path = join(folder, agent);
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
    throw new WeftError('set-up', `${agent} is not installed on the controller's machine`, {
      remedy: "There: apt-get install fence-agents. Its name may be wrong, too: see 'ls /usr/sbin/fence_*'.",
    });
  }
}

/** The controller's own lines come last: with the fence agents the last one counts, and a host cannot say an action. */
function inputOf(device: FenceDevice, secret: FenceSecret | null, action: Action): string {
  const own = { ...secret?.options };
  const kept = Object.entries(device.options).filter(([key]) => !(key in own));
  const lines = [...kept, ...Object.entries(own)].map(([key, value]) => `${key}=${value}`);
  if (secret && secret.password !== '') lines.push(`password=${quoted(secret.password)}`);
  return [...lines, `action=${action}`, ''].join('\n');
}

/** The agents strip blanks around a line, and one pair of quotation marks. */
const quoted = (text: string) => (text !== text.trim() || /^".*"$/.test(text) ? `"${text}"` : text);

function failed(exitCode: number, message: string): WeftError {
  const hint = /plug status|[Uu]nable to connect|[Ll]ogin/.test(message)
    ? ': look at its address, user name, password and plug'
    : '';
  return new WeftError(
    'command-failed',
    `${message || 'it failed and said nothing'}${hint} (exit ${exitCode})`,
  );
}
