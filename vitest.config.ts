import { defineConfig } from 'vitest/config';

/** One project a kind of test, so that `npm run check` can take the fast ones alone. */
const project = (name: string, timeoutMs: number, parallel = true) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    fileParallelism: parallel,
  },
});

/** Pure, so that its files share what they import: reading that anew for each takes longer than the tests. */
const pureProject = (name: string, timeoutMs: number) => ({
  test: { ...project(name, timeoutMs).test, isolate: false },
});

/** Limits are there for what hangs: on a machine with ten times too much to do, what takes seconds takes a minute. */
export default defineConfig({
  test: {
    projects: [
      pureProject('unit', 30_000),
      pureProject('property', 180_000),
      pureProject('simulation', 180_000),
      project('contract', 120_000),
      {
        test: {
          name: 'node-libvirt',
          include: ['agent/node-libvirt/test/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      project('system', 600_000, false),
      project('failover', 600_000, false),
      project('ceph', 600_000, false),
      project('vagrant', 1_800_000, false),
    ],
  },
});
