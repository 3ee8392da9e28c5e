import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { WeftError } from '../../../agent/kit/errors.ts';
import {
  type ModelProblem,
  modelJsonSchema,
  outlineModel,
  resolveService,
} from '../../../controller/model/index.ts';

const WHOLE = `apiVersion: weft/v1
kind: Application
name: crm
package: ./crm.tar.gz
roles:
  web:
    kind: web
    image: debian:stable
    size: extra-small
    instances: 2
    updateDomains: 2
    site: {root: public}
    start: ./server
    env: {LOG_LEVEL: info}
    startup:
      - run: ./install.sh
        kind: simple
        timeout: 10m
        retries: 2
    endpoints:
      http: {type: input, port: 80, targetPort: 8080, probe: {http: /healthz, interval: 5s, timeout: 2s}}
      admin: {type: internal, port: 9000, from: [reports]}
  reports:
    kind: worker
    image: debian:stable
    size: {cpus: 1, memory: 768MiB, disk: 4GiB}
    instances: 3
machines:
  db: {image: "debian:12", size: small}
`;
const PACKAGES = { './crm.tar.gz': { digest: `sha256:${'a'.repeat(64)}`, sizeBytes: 10 } };

const problemsOf = (source: string): readonly ModelProblem[] => {
  try {
    resolveService(source, PACKAGES);
  } catch (error) {
    expect((error as WeftError).code).toBe('invalid-model');
    return ((error as WeftError).details?.problems ?? []) as ModelProblem[];
  }
  throw new Error('the model was taken');
};

test('a whole model is resolved: defaults filled in, sizes looked up, durations in milliseconds', () => {
  const service = resolveService(WHOLE, PACKAGES);
  expect(service.roles.web).toMatchObject({
    size: { name: 'extra-small', cpus: 1, memoryMiB: 768 },
    startup: [{ run: './install.sh', kind: 'simple', timeoutMs: 600_000, retries: 2 }],
    site: { root: 'public', proxyPort: null },
    endpoints: {
      http: {
        targetPort: 8080,
        probe: { check: { type: 'http', path: '/healthz' }, intervalMs: 5000, timeoutMs: 2000 },
      },
      admin: { targetPort: 9000, from: ['reports'] },
    },
  });
  expect(service.roles.reports).toMatchObject({
    size: { name: 'custom', memoryMiB: 768, diskMiB: 4096 },
    updateDomains: 3,
    start: null,
    endpoints: {},
  });
  expect(service.machines.db).toMatchObject({ image: 'debian:12', pool: 'local' });
  expect(service.package).toEqual(PACKAGES['./crm.tar.gz']);
});

test('the outline names what must be uploaded', () => {
  expect(outlineModel(WHOLE)).toEqual({ name: 'crm', packages: ['./crm.tar.gz'] });
});

describe('a wrong model is refused with its place and its fix', () => {
  const cases: readonly [
    what: string,
    change: [from: string, to: string],
    expected: Partial<ModelProblem>,
  ][] = [
    [
      'an unknown key',
      ['instances: 2', 'instnaces: 2'],
      { line: 10, column: 5, path: 'roles.web.instnaces', fix: 'Did you mean instances?' },
    ],
    [
      'an unknown size',
      ['size: extra-small', 'size: extra-smal'],
      { line: 9, path: 'roles.web.size', fix: 'Did you mean extra-small?' },
    ],
    [
      'an unknown role',
      ['from: [reports]', 'from: [report]'],
      { line: 22, path: 'roles.web.endpoints.admin.from.0', fix: 'Did you mean reports?' },
    ],
    ['an unknown kind', ['kind: web', 'kind: webb'], { line: 7, path: 'roles.web.kind' }],
    [
      'a wrong duration',
      ['timeout: 10m', 'timeout: 10 minutes'],
      { line: 18, path: 'roles.web.startup.0.timeout' },
    ],
    ['a wrong amount', ['memory: 768MiB', 'memory: 768'], { line: 26, path: 'roles.reports.size.memory' }],
    ['a name that is no DNS label', ['name: crm', 'name: ../etc'], { line: 3, path: 'name' }],
    ['a role’s name that is none', ['  reports:', '  "re ports":'], { line: 23 }],
    ['a path that leaves its folder', ['root: public', 'root: ../../etc'], { path: 'roles.web.site.root' }],
    ['a package path that leaves its folder', ['./crm.tar.gz', '../../etc/shadow'], { path: 'package' }],
    ['a port that is none', ['port: 80,', 'port: 80000,'], { path: 'roles.web.endpoints.http.port' }],
    ['a negative count', ['instances: 3', 'instances: -1'], { path: 'roles.reports.instances' }],
    [
      'two checks in one probe',
      ['{http: /healthz,', '{http: /healthz, tcp: true,'],
      { path: 'roles.web.endpoints.http.probe' },
    ],
    ['a role called machines', ['  reports:', '  machines:'], { path: 'roles.machines' }],
    ['a site on a worker', ['kind: web', 'kind: worker'], { path: 'roles.web.site' }],
    ['a machine named like an instance', ['  db:', '  web-1:'], { path: 'machines.web-1' }],
    ['a key twice', ['name: crm', 'name: crm\nname: crm2'], { line: 4 }],
    ['another version', ['weft/v1', 'weft/v2'], { line: 1, path: 'apiVersion' }],
    ['an image reference that is none', ['debian:12', 'debian'], { path: 'machines.db.image' }],
  ];
  test.each(cases)('%s', (_what, [from, to], expected) => {
    expect(WHOLE).toContain(from);
    const problems = problemsOf(WHOLE.replace(from, to));
    expect(problems).toContainEqual(expect.objectContaining(expected));
  });

  test('all problems at once, in order', () => {
    const problems = problemsOf(
      WHOLE.replace('instances: 2', 'instnaces: 2').replace('memory: 768MiB', 'memory: lots'),
    );
    expect(problems.map((problem) => problem.line)).toEqual(
      [...problems.map((problem) => problem.line)].sort((a, b) => a - b),
    );
    expect(problems.map((problem) => problem.path)).toEqual([
      'roles.web.instnaces',
      'roles.reports.size.memory',
    ]);
  });

  test('what is missing is named', () => {
    expect(problemsOf(WHOLE.replace('    instances: 3\n', ''))).toContainEqual(
      expect.objectContaining({ path: 'roles.reports.instances', message: 'instances is missing (number)' }),
    );
    expect(problemsOf('')).not.toHaveLength(0);
    expect(problemsOf('apiVersion: weft/v1\nkind: Application\nname: empty\n')).toHaveLength(1);
  });

  test('a bomb of aliases does not go off', () => {
    const rows = Array.from({ length: 20 }, (_, row) =>
      row === 0
        ? 'a0: &a0 [x, x]'
        : `a${row}: &a${row} [${Array(10)
            .fill(`*a${row - 1}`)
            .join(', ')}]`,
    );
    expect(problemsOf(rows.join('\n'))).toHaveLength(1);
  });

  test('a package that was not uploaded is said to be so', () => {
    expect(() => resolveService(WHOLE, {})).toThrow(/not uploaded/);
  });
});

describe('the first thing wrong is the message: where, what, and what to write', () => {
  const label = 'must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40';
  const cases: readonly [change: [from: string, to: string], message: string, remedy?: string][] = [
    [
      ['instances: 2', 'instnaces: 2'],
      'line 10, column 5: roles.web.instnaces: unknown key "instnaces"',
      'Did you mean instances?',
    ],
    [
      ['size: extra-small', 'size: extra-smal'],
      'line 9, column 11: roles.web.size: unknown size "extra-smal"',
      'Did you mean extra-small?',
    ],
    [
      ['size: extra-small', 'size: 2x4'],
      'line 9, column 11: roles.web.size: unknown size "2x4"',
      'Known sizes: extra-small, small, medium, large, extra-large.',
    ],
    [['name: crm', 'name: ../../etc'], `line 3, column 7: name: ${label}`],
    [['name: crm', 'name: "<a>&b"'], `line 3, column 7: name: ${label}`],
    [['name: crm', 'name: "a; reboot"'], `line 3, column 7: name: ${label}`],
    [['name: crm', 'name: "a\\nb"'], `line 3, column 7: name: ${label}`],
    [['  reports:', '  "web/../../x":'], `line 23, column 3: roles.web/../../x: ${label}`],
    [['  db:', '  "$(reboot)":'], `line 29, column 3: machines.$(reboot): ${label}`],
    [['http: {', '"-rf": {'], `line 21, column 7: roles.web.endpoints.-rf: ${label}`],
  ];
  test.each(cases)('%j', (change, message, remedy) => {
    expect(WHOLE).toContain(change[0]);
    expect(() => resolveService(WHOLE.replace(...change), PACKAGES)).toThrow(
      expect.objectContaining({ code: 'invalid-model', message, remedy }),
    );
  });
});

test('the published JSON Schema is up to date', async () => {
  const file = join(import.meta.dirname, '../../../controller/model/service.schema.json');
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(modelJsonSchema());
});

describe('backups of a machine in a model', () => {
  const machine = (rest: string) => `apiVersion: weft/v1
kind: Application
name: crm
machines:
  db: {image: "tiny:stable", size: small${rest}}
`;
  const problems = (rest: string) => {
    try {
      resolveService(machine(rest), {});
    } catch (error) {
      return (((error as WeftError).details?.problems as ModelProblem[] | undefined) ?? []).map(
        ({ path, message }) => `${path}: ${message}`,
      );
    }
    return [];
  };

  test('a schedule and a beginning are taken as written; without them a machine is what it was', () => {
    const ref = 'crm/db/20260102t030405';
    const written = machine(`, backup: {every: 24h, keep: 7, to: vault}, from: ${ref}`);
    expect(resolveService(written, {}).machines.db).toMatchObject({
      backup: { everyMs: 86_400_000, keep: 7, to: 'vault' },
      from: ref,
    });
    expect(Object.keys(resolveService(machine(''), {}).machines.db ?? {})).toEqual(['image', 'size', 'pool']);
  });

  test('what cannot be is said with where it stands', () => {
    expect(problems(', backup: {every: 5s, keep: 7, to: vault}')).toEqual([
      'machines.db.backup.every: must be at least 1m',
    ]);
    expect(problems(', backup: {every: 24h, keep: 0, to: vault}')[0]).toContain('machines.db.backup.keep');
    expect(problems(', from: crm/db')[0]).toContain('must be application/machine/backup');
    expect(problems(', backup: {evry: 24h, keep: 1, to: vault}').join()).toContain('unknown key "evry"');
  });
});

test.each([
  [
    'a second document',
    `${WHOLE}---\nname: shop\n`,
    'a second document begins here',
    'Put it in a file of its own.',
  ],
  ['a tab', 'apiVersion: weft/v1\nroles:\n\tweb: {}\n', 'a tab indents this line', 'Indent with spaces.'],
  ['a key twice', `${WHOLE}name: shop\n`, 'this key is here a second time', 'Leave one of the two out.'],
])('%s is told in words of the model', (_, source, message, fix) => {
  expect(problemsOf(source)).toContainEqual(
    expect.objectContaining({ message: expect.stringContaining(message), fix }),
  );
});
