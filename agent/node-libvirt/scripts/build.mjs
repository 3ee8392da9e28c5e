// Builds the addon and the JavaScript that plain Node loads. Does nothing when neither the sources nor Node have changed.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const stampFile = join(here, 'build', 'weft-stamp');
const sources = [
  'binding.gyp',
  'tsconfig.build.json',
  'scripts/build.mjs',
  ...['native', 'src'].flatMap((folder) => readdirSync(join(here, folder)).map((file) => join(folder, file))),
].sort();
const hash = createHash('sha256').update(process.versions.modules).update(process.arch);
for (const file of sources) hash.update(file).update(readFileSync(join(here, file)));
const stamp = hash.digest('hex');

const built = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
if (
  !built ||
  !existsSync(join(here, 'build/Release/node_libvirt.node')) ||
  !existsSync(join(here, 'dist/index.js'))
) {
  const require = createRequire(import.meta.url);
  // npm carries node-gyp; Debian's headers of Node spare a download.
  const npm = process.env.npm_execpath ?? require.resolve('npm/bin/npm-cli.js');
  const gyp = [
    join(dirname(dirname(npm)), 'node_modules/node-gyp/bin/node-gyp.js'),
    '/usr/share/nodejs/node-gyp/bin/node-gyp.js',
  ].find(existsSync);
  if (gyp === undefined)
    throw new Error('node-gyp was not found beside npm; install npm, or Debian’s node-gyp');
  const environment = { ...process.env };
  if (existsSync('/usr/include/node/node_api.h')) environment.npm_config_nodedir = '/usr';
  const run = (...command) =>
    execFileSync(process.execPath, command, { cwd: here, stdio: 'inherit', env: environment });
  run(gyp, 'rebuild', '--jobs', 'max', '--loglevel', 'warn');
  run(require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json');
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, stamp);
}
