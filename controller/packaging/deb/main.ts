import { readFile, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { WeftError } from '../../../agent/kit/errors.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { type BuiltPackage, buildPackage } from './build.ts';
import { PACKAGES } from './packages.ts';
import { MAINTAINER, type Release } from './texts.ts';

/** `npm run package`: the Debian packages of this checkout, in dist/packages. */
const REPOSITORY = resolve(import.meta.dirname, '../../..');
const OUTPUT = join(REPOSITORY, 'dist/packages');
/** The Node that the agent and the native modules are tested with. */
const NODE_MAJOR = '20';
/** 2026-01-01; another one: SOURCE_DATE_EPOCH. */
const EPOCH_SECONDS = 1_767_225_600;

async function main(): Promise<void> {
  requireNode();
  await buildPrograms();
  const node = await realpath(process.execPath);
  const release = await readRelease();
  for (const description of PACKAGES)
    tell(await buildPackage(description, { repository: REPOSITORY, output: OUTPUT, node, release }));
}

function requireNode(): void {
  if (process.versions.node.split('.')[0] === NODE_MAJOR) return;
  throw new WeftError('set-up', `packages carry Node ${NODE_MAJOR}, and this is ${process.version}`, {
    remedy: `Run it with Node ${NODE_MAJOR}; the modules must have been installed with the same one.`,
  });
}

async function buildPrograms(): Promise<void> {
  const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  await exec(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: REPOSITORY, timeoutMs: 300_000 });
}

async function readRelease(): Promise<Release> {
  const { version } = JSON.parse(await readFile(join(REPOSITORY, 'package.json'), 'utf8'));
  const { stdout } = await exec('dpkg', ['--print-architecture'], { timeoutMs: 10_000 });
  const epochSeconds = Number(process.env.SOURCE_DATE_EPOCH ?? EPOCH_SECONDS);
  return { version, architecture: stdout.trim(), epochSeconds, maintainer: maintainer(process.env) };
}

/** By the variables that Debian's own tools take it from. */
function maintainer({ DEBFULLNAME: name, DEBEMAIL: address }: NodeJS.ProcessEnv): string {
  const isPlain = /^[^\s<>@]+@[^\s<>@]+$/.test(address ?? '') && /^[^<>\n]*$/.test(name ?? '');
  return address !== undefined && isPlain ? `${name ?? 'The Weft project'} <${address}>` : MAINTAINER;
}

function tell({ file, fileCount, installedBytes, sizeBytes }: BuiltPackage): void {
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  process.stdout.write(
    `${file}  ${mib(sizeBytes)}, ${mib(installedBytes)} installed in ${fileCount} files\n`,
  );
}

main().catch((thrown: unknown) => {
  const error = WeftError.from(thrown);
  process.stderr.write(`package: ${error.message}${error.remedy ? `\n  ${error.remedy}` : ''}\n`);
  process.exit(1);
});
