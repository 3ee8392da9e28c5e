import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../src/index.ts';
import { emptyMachineXml } from '../test/support/guest-xml.ts';
import type { PrivateLibvirt } from '../test/support/private-libvirt.ts';
import { demand, figuresOf, runProgram } from './program.ts';

const ERRORS_FOUND = 99;

/**
 * The short list under valgrind's memcheck: no access to memory that was freed or never set, no block lost. Node runs
 * without its compiler, as valgrind cannot follow code that changes; what it finds in Node itself is in node.supp.
 * @param libvirt a real daemon, for a machine with a console on it, or null for the test driver alone.
 */
export async function memcheck(libvirt: PrivateLibvirt | null): Promise<object> {
  const connection = libvirt && (await Connection.open(libvirt.uri));
  const machine = connection && (await connection.createDomain(emptyMachineXml('checked')));
  try {
    return await underValgrind(libvirt?.uri ?? null);
  } finally {
    await machine?.destroy();
    await connection?.close();
  }
}

async function underValgrind(uri: string | null): Promise<object> {
  const folder = await mkdtemp(join(tmpdir(), 'node-libvirt-memcheck-'));
  try {
    const log = join(folder, 'valgrind.log');
    const wrapper = [
      'valgrind',
      `--log-file=${log}`,
      `--error-exitcode=${ERRORS_FOUND}`,
      `--suppressions=${join(import.meta.dirname, 'node.supp')}`,
      '--smc-check=all-non-file',
      '--num-callers=40',
      '--leak-check=full',
      '--show-leak-kinds=definite',
      '--errors-for-leak-kinds=definite',
    ];
    const end = await runProgram('memcheck.mjs', uri === null ? [] : [uri], {
      wrapper,
      nodeFlags: ['--jitless', '--expose-gc'],
      limitMs: 900_000,
    });
    const text = await readFile(log, 'utf8').catch(() => '');
    if (end.code === ERRORS_FOUND) throw new Error(`valgrind found errors\n${text}`);
    const figures = {
      ...figuresOf('memcheck', end),
      errors: Number(/ERROR SUMMARY: (\d+) errors/.exec(text)?.[1] ?? Number.NaN),
      definitelyLostBytes: lostBytes(text),
      allocations: Number(/total heap usage: ([\d,]+) allocs/.exec(text)?.[1]?.replaceAll(',', '') ?? 0),
    };
    demand(figures, {
      'valgrind has seen the whole run': figures.allocations > 100_000,
      'there are no errors': figures.errors === 0,
    });
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function lostBytes(log: string): number {
  if (log.includes('All heap blocks were freed')) return 0;
  return Number(/definitely lost: ([\d,]+) bytes/.exec(log)?.[1]?.replaceAll(',', '') ?? Number.NaN);
}
