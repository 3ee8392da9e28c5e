import { resolve } from 'node:path';
import { execa } from 'execa';
import { WeftError } from '../../agent/kit/errors.ts';
import { invalidImage } from './bytes.ts';
import type { ImageFacts, ImageFormat } from './contract.ts';

export interface ConvertOptions {
  readonly onPercent?: (percent: number) => void;
  readonly signal?: AbortSignal;
  /** Wall clock for each run of qemu-img. */
  readonly timeoutMs?: number;
}

/** What one run of qemu-img may take; it reads files that strangers made. */
const ADDRESS_SPACE_BYTES = 4 * 1024 ** 3;
const PROCESSOR_SECONDS = 3_600;
const DEFAULT_TIMEOUT_MS = 3_600_000;

const DRIVERS: Readonly<Record<ImageFormat, Readonly<Record<string, unknown>>>> = {
  // `backing: null`: even if a header check overlooked something, no other file is opened.
  qcow2: { driver: 'qcow2', backing: null },
  vmdk: { driver: 'vmdk', backing: null },
  vhd: { driver: 'vpc', force_size_calc: 'current_size' },
  vhdx: { driver: 'vhdx' },
  raw: { driver: 'raw' },
};

/** Formats whose structure `qemu-img check` knows; it finds data that a truncated file has lost. */
const CHECKABLE: readonly ImageFormat[] = ['qcow2', 'vmdk', 'vhdx'];

/**
 * Writes the image as one qcow2 without a backing file, uncompressed and without runs of zeros.
 * The source's format and the file driver are given, so nothing is guessed and no network protocol can be meant.
 * @throws WeftError `invalid-image` when qemu-img finds it damaged, `timeout`, `command-failed` (no space).
 */
export async function convertToQcow2(
  source: string,
  facts: ImageFacts,
  target: string,
  options: ConvertOptions = {},
): Promise<void> {
  const node = { ...DRIVERS[facts.format], file: { driver: 'file', filename: resolve(source) } };
  const input = `json:${JSON.stringify(node)}`;
  if (CHECKABLE.includes(facts.format)) await check(input, options);
  const output = resolve(target);
  await qemuImg(['convert', '-p', '-O', 'qcow2', '-o', 'compat=1.1', input, output], options);
  const written = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: output } };
  await check(`json:${JSON.stringify(written)}`, options);
}

/** Exit 3 is leaked clusters, which lose nothing; 63 is a format that cannot be checked. */
async function check(input: string, options: ConvertOptions): Promise<void> {
  const exitCode = await qemuImg(['check', '-q', input], options, [0, 2, 3, 63]);
  if (exitCode === 2)
    throw invalidImage(
      'is damaged: its tables refer to data that is not there',
      'It is probably truncated: copy it again from its source, and compare its checksum there.',
    );
}

async function qemuImg(
  args: readonly string[],
  options: ConvertOptions,
  okExitCodes: readonly number[] = [0],
): Promise<number> {
  const limits = [`--as=${ADDRESS_SPACE_BYTES}`, `--cpu=${PROCESSOR_SECONDS}`, '--core=0'];
  const child = execa('prlimit', [...limits, 'qemu-img', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    maxBuffer: 1024 * 1024,
    env: { LC_ALL: 'C' },
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  });
  child.stdout.on('data', (chunk: Buffer) => {
    const percent = /\((\d+\.\d+)\/100%\)\s*$/.exec(chunk.toString())?.[1];
    if (percent !== undefined) options.onPercent?.(Number(percent));
  });
  const result = await child;
  options.signal?.throwIfAborted();
  if (result.timedOut) throw new WeftError('timeout', `qemu-img ${args[0] ?? ''} took too long`);
  const exitCode = result.exitCode ?? -1;
  if (!okExitCodes.includes(exitCode)) throw refusal(args[0] ?? '', exitCode, result.stderr);
  return exitCode;
}

function refusal(command: string, exitCode: number, stderr: string): WeftError {
  const said = stderr.trim().split('\n').slice(-3).join(' ').slice(0, 500);
  if (/No space left|Disk quota/i.test(said))
    return new WeftError('command-failed', `there is no space left to convert the image`, {
      remedy: 'Free some space below the state folder, then try again.',
    });
  return new WeftError('invalid-image', `qemu-img ${command} refused the image (exit ${exitCode}): ${said}`, {
    remedy: 'Copy it again from its source; qemu-img check FILE says more.',
  });
}
