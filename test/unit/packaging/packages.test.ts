import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { foldersOf, planEntries } from '../../../controller/packaging/deb/layout.ts';
import { librariesOf } from '../../../controller/packaging/deb/libraries.ts';
import { isNeeded } from '../../../controller/packaging/deb/modules.ts';
import { agentPackage } from '../../../controller/packaging/deb/packages/agent.ts';
import { PACKAGES } from '../../../controller/packaging/deb/packages.ts';
import { findReachable } from '../../../controller/packaging/deb/reachable.ts';
import { controlText, debianVersion } from '../../../controller/packaging/deb/texts.ts';

const REPOSITORY = resolve(import.meta.dirname, '../../..');
const release = {
  version: '1.0.0-rc.1',
  architecture: 'amd64',
  epochSeconds: 1_767_225_600,
  maintainer: 'A <a@example.org>',
};
const found = {
  entries: new Set(['agent/main']),
  helps: new Map([['agent/main', "usage: weft-agent\n\n.x 'y' \\ --z\n"]]),
  sources: new Map([['agent/packaging/weft-agent.service', '/checkout/weft-agent.service']]),
  modules: [
    { path: 'node_modules/ws/index.js', file: '/checkout/node_modules/ws/index.js' },
    { path: 'agent/main.js', file: '/checkout/dist/agent/main.js' },
  ],
  node: '/usr/bin/node',
  nodeLicense: null,
};

const textOf = (path: string) => {
  const entry = planEntries(agentPackage, release, found).find((candidate) => candidate.path === path);
  if (!entry || !('text' in entry.content)) throw new Error(`no text at ${path}`);
  return entry.content.text;
};

describe('what a package installs', () => {
  it('lies in one order, each path once, and only commands and Node can be executed', () => {
    const entries = planEntries(agentPackage, release, found);
    const paths = entries.map(({ path }) => path);
    expect(paths).toEqual([...new Set(paths)].sort());
    expect(entries.filter(({ mode }) => mode === 0o755).map(({ path }) => path)).toEqual([
      'usr/lib/weft/agent/bin/node',
      'usr/sbin/weft-agent',
    ]);
  });

  it('runs on the Node and the modules of its own folder', () => {
    expect(textOf('usr/sbin/weft-agent')).toBe(
      '#!/bin/sh\nexec /usr/lib/weft/agent/bin/node --max-semi-space-size=2 --expose-gc /usr/lib/weft/agent/agent/main.js "$@"\n',
    );
    expect(JSON.parse(textOf('usr/lib/weft/agent/package.json'))).toMatchObject({ type: 'module' });
    expect(planEntries(agentPackage, release, found).map(({ path }) => path)).toContain(
      'usr/lib/weft/agent/node_modules/ws/index.js',
    );
  });

  it('leaves out programs and files that this build does not have', () => {
    const paths = planEntries(agentPackage, release, found).map(({ path }) => path);
    expect(paths.filter((path) => path.includes('guard'))).toEqual([]);
    const withGuard = planEntries(agentPackage, release, {
      ...found,
      entries: new Set(['agent/main', 'agent/guard/main']),
    });
    expect(withGuard.map(({ path }) => path)).toContain('usr/sbin/weft-guard');
  });

  it('has a manual page of each command, with what it says of itself', () => {
    const entries = planEntries(agentPackage, release, found);
    const page = entries.find(({ path }) => path === 'usr/share/man/man8/weft-agent.8.gz')?.content;
    if (!page || !('bytes' in page)) throw new Error('no page');
    const text = gunzipSync(page.bytes).toString();
    expect(text).toContain('.SH NAME\nweft\\-agent \\- keeps the virtual machines');
    expect(text).toContain("\nusage: weft\\-agent\n\n\\&.x 'y' \\e \\-\\-z\n.fi\n");
    expect(entries.map(({ path }) => path)).toContain('usr/share/doc/weft-agent/changelog.gz');
  });

  it('names each folder before what is in it', () => {
    expect(foldersOf([{ path: 'usr/lib/weft/x' }, { path: 'usr/bin/weft' }])).toEqual([
      'usr',
      'usr/bin',
      'usr/lib',
      'usr/lib/weft',
    ]);
  });
});

describe.each(PACKAGES)('the package $name', (description) => {
  it('has every file that it installs, and scripts that a shell reads', async () => {
    for (const { source, optional } of description.files)
      if (!optional) await expect(readFile(join(REPOSITORY, source)), source).resolves.toBeDefined();
    for (const script of Object.values(description.scripts))
      execFileSync('sh', ['-n', join(REPOSITORY, script)]);
  });

  it('starts its own commands from its units', async () => {
    const commands = description.programs.map(({ command }) => `/${command}`);
    for (const { source, optional } of description.files.filter(({ path }) => path.endsWith('.service'))) {
      if (optional) continue;
      const unit = await readFile(join(REPOSITORY, source), 'utf8');
      expect(commands).toContain(/^ExecStart=(\S+)/m.exec(unit)?.[1]);
    }
  });

  it('never stops, kills or removes a virtual machine or a pool', async () => {
    for (const script of Object.values(description.scripts)) {
      const text = await readFile(join(REPOSITORY, script), 'utf8');
      expect(text).not.toMatch(/virsh|libvirtd|kill|rm [^\n]*pools/);
    }
  });
});

describe('the control file', () => {
  it('puts a pre-release before its release', () => {
    expect(debianVersion('1.0.0-rc.1')).toBe('1.0.0~rc.1');
    expect(() => execFileSync('dpkg', ['--compare-versions', '1.0.0~rc.1', 'lt', '1.0.0'])).not.toThrow();
  });

  it('needs the libraries of its native files, and folds its description', () => {
    const text = controlText(agentPackage, release, ['libc6 (>= 2.34)'], 2_048);
    expect(text).toContain('\nDepends: libc6 (>= 2.34), libvirt-daemon-system, ');
    expect(text).toContain('\nInstalled-Size: 2\n');
    for (const line of text.split('\n').slice(text.split('\n').findIndex((l) => l.startsWith('Description'))))
      expect(line.length).toBeLessThanOrEqual(80);
  });

  it('takes the highest version of each library that any file names', () => {
    const binaries = [
      '\0GLIBC_2.9\0GLIBC_2.34\0GLIBCXX_3.4.29\0',
      '\0GLIBC_2.4\0GLIBCXX_3.4.30\0LIBVIRT_1.2.14\0',
    ];
    expect(librariesOf(binaries.map((text) => Buffer.from(text, 'latin1')))).toEqual([
      'libc6 (>= 2.34)',
      'libstdc++6 (>= 12)',
      'libvirt0 (>= 1.2.14)',
    ]);
  });
});

describe('modules', () => {
  it.each([
    ['lib/index.js', false, true],
    ['src/index.js', false, true],
    ['LICENSE.md', false, true],
    ['build/Release/addon.node', true, true],
    ['lib/history.js', false, true],
    ['src/addon.cc', true, false],
    ['deps/sqlite3/sqlite3.c', true, false],
    ['build/Release/obj.target/addon.o', true, false],
    ['test/all.js', false, false],
    ['index.d.ts', false, false],
    ['README.md', false, false],
    ['index.html', false, false],
    ['inc-version.sh', false, false],
    ['.husky/pre-commit', false, false],
  ])('%s, native: %s, needed: %s', (path, isNative, needed) => {
    expect(isNeeded(path, isNative)).toBe(needed);
  });

  it('are found by following imports, also those made late', async () => {
    const dist = await mkdtemp(join(tmpdir(), 'weft-reachable-'));
    const write = async (path: string, text: string) => {
      await mkdir(dirname(join(dist, path)), { recursive: true });
      await writeFile(join(dist, path), text);
    };
    try {
      await write(
        'agent/main.js',
        "import 'node:fs';\nimport { a } from './kit/a.js';\nawait import('@weft/x/deep');\n",
      );
      await write('agent/kit/a.js', "export { a } from './b.js';\n");
      await write('agent/kit/b.js', "import pino from 'pino';\nexport const a = pino;\n");
      await write('agent/unused.js', "import 'never';\n");
      const reachable = await findReachable(dist, ['agent/main']);
      expect(reachable.files.map(({ path }) => path).sort()).toEqual([
        'agent/kit/a.js',
        'agent/kit/b.js',
        'agent/main.js',
      ]);
      expect(reachable.packages).toEqual(['@weft/x', 'pino']);
      await expect(findReachable(dist, ['agent/absent'])).rejects.toThrow('is not built');
    } finally {
      await rm(dist, { recursive: true, force: true });
    }
  });
});
