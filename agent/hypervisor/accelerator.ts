import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from '../kit/atomic-file.ts';
import { WeftError } from '../kit/errors.ts';
import { exec } from '../kit/exec.ts';
import { PROBE_EXIT_CODE, probeBootSector } from './probe-guest.ts';

export interface Accelerator {
  readonly kind: 'kvm' | 'tcg';
  /** One sentence: what was tried, and what came of it. */
  readonly reason: string;
}

const LIMIT_MS = 5_000;

/**
 * Finds the accelerator by trying: a device that opens proves nothing. Tried once per boot of the host; the answer is kept in
 * `cacheFile` under the boot id.
 * @param override `kvm` or `tcg`: taken without trying (the environment's WEFT_ACCELERATOR).
 */
export async function findAccelerator(options: {
  cacheFile: string;
  bootId: string;
  override?: string | undefined;
}): Promise<Accelerator> {
  const { override, cacheFile, bootId } = options;
  if (override === 'kvm' || override === 'tcg') return { kind: override, reason: 'set by WEFT_ACCELERATOR' };
  if (override !== undefined)
    throw new WeftError('usage', `WEFT_ACCELERATOR is ${override}; it may be kvm or tcg`);
  const known = await readCache(cacheFile, bootId);
  if (known) return known;
  const found = await tryKvm();
  await writeFileAtomic(cacheFile, `${JSON.stringify({ bootId, ...found })}\n`);
  return found;
}

async function readCache(file: string, bootId: string): Promise<Accelerator | null> {
  try {
    const { bootId: then, kind, reason } = JSON.parse(await readFile(file, 'utf8'));
    return then === bootId && (kind === 'kvm' || kind === 'tcg') && typeof reason === 'string'
      ? { kind, reason }
      : null;
  } catch {
    return null;
  }
}

async function tryKvm(): Promise<Accelerator> {
  const present = await access('/dev/kvm').then(
    () => true,
    () => false,
  );
  if (!present) return { kind: 'tcg', reason: 'there is no /dev/kvm on this host' };
  const folder = await mkdtemp(join(tmpdir(), 'weft-accelerator-'));
  try {
    const sector = join(folder, 'probe.raw');
    await writeFile(sector, probeBootSector());
    const startedMs = Date.now();
    const { exitCode, stderr } = await exec(
      'qemu-system-x86_64',
      [
        ...['-machine', 'pc,accel=kvm', '-m', '32', '-nodefaults', '-display', 'none', '-no-reboot'],
        ...['-device', 'isa-debug-exit,iobase=0xf4', '-drive', `file=${sector},format=raw,if=ide`],
      ],
      { timeoutMs: LIMIT_MS, okExitCodes: Array.from({ length: 256 }, (_, code) => code) },
    );
    if (exitCode === PROBE_EXIT_CODE)
      return { kind: 'kvm', reason: `a probe guest ran under KVM in ${Date.now() - startedMs} ms` };
    const why = stderr.trim().split('\n')[0] || `exit code ${exitCode}`;
    return { kind: 'tcg', reason: `/dev/kvm is there, but QEMU refused it: ${why.slice(0, 300)}` };
  } catch (error) {
    const { code, message } = WeftError.from(error);
    const reason =
      code === 'timeout'
        ? `/dev/kvm opens, but a probe guest did not finish under it within ${LIMIT_MS} ms`
        : `KVM could not be tried: ${message.slice(0, 300)}`;
    return { kind: 'tcg', reason };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
