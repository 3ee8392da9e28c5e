import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { LocalDisks } from '../../../agent/disks/local-disks.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { FLEET } from '../../support/builders/goal.ts';
import type { Benchmark, Measurement } from '../contract.ts';
import { median } from '../statistics.ts';

const IMAGE_SIZES = ['64M', '2G', '64G', '2T'];
const ROUNDS = 9;
const BLOCK_BYTES = 512;

/** Overlays over images of any size cost the same. */
export const overlay: Benchmark = {
  name: 'overlay',
  about: 'making one overlay, over images from 64 MiB to 2 TiB',
  async run({ rounds, say }) {
    const folder = await mkdtemp('/var/tmp/weft-bench-overlay-');
    try {
      const pool = join(folder, 'pool');
      await mkdir(pool);
      const disks = new LocalDisks([{ name: 'local', kind: 'local', path: pool }], 'h1');
      await disks.preparePools(FLEET);
      const readings: Record<string, number[]> = {};
      const kib: number[] = [];
      for (const size of IMAGE_SIZES) {
        const image = join(folder, `${size}.qcow2`);
        await exec('qemu-img', ['create', '-q', '-f', 'qcow2', image, size], { timeoutMs: 60_000 });
        const { actualBytes, virtualBytes } = await sizesOf(image);
        const times: number[] = [];
        for (let incarnation = 1; incarnation <= (rounds ?? ROUNDS); incarnation++) {
          const key = { pool: 'local', vmId: 'bench/one-0', kind: 'instance' as const, incarnation };
          const startedMs = performance.now();
          const { path } = await disks.ensureOverlay(key, image, virtualBytes);
          times.push(performance.now() - startedMs);
          kib.push(((await stat(path)).blocks * BLOCK_BYTES) / 1024);
          await disks.discard(key);
        }
        readings[`${size} ms`] = times;
        say(`overlay over ${size} (${actualBytes} bytes): ${median(times).toFixed(1)} ms`);
      }
      return measurements(readings, kib);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function sizesOf(image: string) {
  const { stdout } = await exec('qemu-img', ['info', '--output=json', image], { timeoutMs: 60_000 });
  const info = JSON.parse(stdout) as { 'virtual-size': number; 'actual-size': number };
  return { virtualBytes: info['virtual-size'], actualBytes: info['actual-size'] };
}

function measurements(readings: Readonly<Record<string, number[]>>, kib: readonly number[]): Measurement[] {
  const slowest = Math.max(...Object.values(readings).map(median));
  return [
    {
      benchmark: 'overlay, time',
      unit: 'ms',
      value: slowest,
      target: { limit: 50, better: 'lower' },
      readings,
      note: 'median of the slowest image size, through the agent’s own disks room (qemu-img create, rename)',
    },
    {
      benchmark: 'overlay, space',
      unit: 'KiB',
      value: Math.max(...kib),
      target: { limit: 300, better: 'lower' },
      readings: { KiB: kib },
      note: 'blocks on the file system right after its making, the greatest reading',
    },
  ];
}
