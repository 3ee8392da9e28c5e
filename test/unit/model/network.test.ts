import { describe, expect, test } from 'vitest';
import type { WeftError } from '../../../agent/kit/errors.ts';
import { type ModelProblem, resolveService } from '../../../controller/model/index.ts';
import { roleDefinition } from '../../../controller/reconciler/definition.ts';

/** @param roles name → lines of the role. */
function model(
  roles: Readonly<Record<string, string>>,
  machines: Readonly<Record<string, string>> = {},
): string {
  const lines = ['apiVersion: weft/v1', 'kind: Application', 'name: crm', 'roles:'];
  for (const [name, more] of Object.entries(roles))
    lines.push(
      `  ${name}:`,
      '    kind: worker',
      '    image: tiny:1',
      '    size: small',
      '    instances: 2',
      `    ${more}`,
    );
  if (Object.keys(machines).length > 0) lines.push('machines:');
  for (const [name, more] of Object.entries(machines))
    lines.push(`  ${name}:`, '    image: tiny:1', '    size: small', `    ${more}`);
  return `${lines.join('\n')}\n`;
}

function problemsOf(source: string): readonly ModelProblem[] {
  try {
    resolveService(source, {});
  } catch (error) {
    return ((error as WeftError).details?.problems ?? []) as ModelProblem[];
  }
  return [];
}

test('everything of the network is resolved, and what is not declared is not there', () => {
  const service = resolveService(
    model(
      {
        web: 'endpoints: {http: {type: input, port: 443, targetPort: 80, protocol: http, certificate: crm, proxyProtocol: true, limit: {connections: 100, rate: 50}, drain: 30s}, each: {type: instance, port: 7000}}',
        db: 'mesh: true\n    outbound: [10.0.0.0/8, "2001:db8::/32"]\n    endpoints: {sql: {type: internal, port: 5432, from: [web, back]}, log: {type: internal, port: 514, protocol: udp}}',
        plain: 'endpoints: {a: {type: internal, port: 1}}',
      },
      {
        old: 'network: back\n    public: true\n    outbound: false\n    endpoints: {ssh: {type: input, port: 22}}',
        other: 'pool: local\n    outbound: true',
      },
    ),
    {},
  );
  expect(service.roles.web?.endpoints).toEqual({
    http: {
      ...{ type: 'input', protocol: 'http', port: 443, targetPort: 80, from: [] },
      ...{ certificate: 'crm', proxyProtocol: true, limit: { connections: 100, rate: 50 }, drainMs: 30_000 },
    },
    each: { type: 'instance', protocol: 'tcp', port: 7000, targetPort: 7000, from: [] },
  });
  expect(service.roles.db).toMatchObject({
    mesh: true,
    outbound: ['10.0.0.0/8', '2001:db8::/32'],
    endpoints: { sql: { from: ['web', 'back'] }, log: { protocol: 'udp' } },
  });
  expect(Object.keys(service.roles.plain ?? {})).not.toEqual(expect.arrayContaining(['mesh']));
  expect(service.machines.old).toMatchObject({ network: 'back', public: true, outbound: false });
  expect(Object.keys(service.machines.other ?? {}).sort()).toEqual(['image', 'pool', 'size']);
});

test('a certificate may say its names, and is the one of that name', () => {
  const endpointOf = (certificate: string) =>
    resolveService(
      model({ web: `endpoints: {https: {type: input, port: 443, certificate: ${certificate}}}` }),
      {},
    ).roles.web?.endpoints.https;
  expect(endpointOf('shop')).not.toHaveProperty('certificateNames');
  expect(
    endpointOf('{name: shop, names: [shop.example.org, "*.example.org", shop.example.org]}'),
  ).toMatchObject({
    certificate: 'shop',
    certificateNames: ['shop.example.org', '*.example.org'],
  });
});

test('a machine may let in the other machines on its own network by name', () => {
  const ends = 'endpoints: {sql: {type: internal, port: 5432, from: [machines]}}';
  expect(problemsOf(model({ web: 'mesh: true' }, { db: ends, other: 'pool: local' }))).toEqual([]);
});

test('what routers and load balancers do around an instance is no part of what it is made from', () => {
  const role = (text: string) =>
    roleDefinition(resolveService(model({ web: text }), {}).roles.web as never, null);
  const plain = role('endpoints: {http: {type: input, port: 443}}');
  expect(
    role(
      'mesh: true\n    outbound: false\n    endpoints: {http: {type: input, port: 443, certificate: {name: crm, names: [a.example]}, limit: {rate: 5}, drain: 5s}}',
    ),
  ).toBe(plain);
  expect(role('endpoints: {http: {type: input, port: 443, proxyProtocol: true}}')).toBe(plain);
  expect(role('endpoints: {http: {type: input, port: 444}}')).not.toBe(plain);
});

test('by the PROXY protocol goes what looks at an instance, and the web server that it has from Weft', () => {
  const role = (text: string) =>
    roleDefinition(resolveService(model({ web: text }), {}).roles.web as never, null);
  const of = (more: string) => role(`endpoints: {http: {type: input, port: 443${more}}}`);
  expect(of(', probe: {http: /}, proxyProtocol: true')).not.toBe(of(', probe: {http: /}'));
  expect(of(', probe: {exec: x}, proxyProtocol: true')).toBe(of(', probe: {exec: x}'));
});

describe('refused, with a place and a fix', () => {
  test.each([
    [
      'a machine and a role of one name',
      model(
        { web: 'endpoints: {http: {type: input, port: 80}}' },
        { web: 'public: true\n    endpoints: {http: {type: input, port: 80}}' },
      ),
      { line: 12, path: 'machines.web', message: /web is also the name of a role/ },
    ],
    [
      'two roles that want one public port',
      model({
        web: 'endpoints: {http: {type: input, port: 80}}',
        api: 'endpoints: {http: {type: input, port: 80}}',
      }),
      {
        line: 16,
        path: 'roles.api.endpoints.http.port',
        message: /api\/http and web\/http both want the public port 80/,
      },
    ],
    [
      'a range of instances that reaches another port',
      model({
        web: 'endpoints: {http: {type: input, port: 7001}}',
        api: 'endpoints: {own: {type: instance, port: 7000}}',
      }),
      { line: 16, path: 'roles.api.endpoints.own.port', message: /both want the public port 7001/ },
    ],
    [
      'a machine that wants the port of a role',
      model(
        { web: 'endpoints: {http: {type: input, port: 80}}' },
        { db: 'endpoints: {x: {type: input, port: 80}}' },
      ),
      { line: 15, path: 'machines.db.endpoints.x.port', message: /both want the public port 80/ },
    ],
    [
      'ports beyond the last',
      model({ web: 'endpoints: {own: {type: instance, port: 65535}}' }),
      { line: 10, path: 'roles.web.endpoints.own.port', message: /need the ports 65535 to 65536/ },
    ],
    [
      'from with a misspelt role',
      model({ web: 'endpoints: {a: {type: internal, port: 1, from: [dv]}}', db: 'mesh: true' }),
      { line: 10, path: 'roles.web.endpoints.a.from.0', message: /no role "dv"/, fix: 'Did you mean db?' },
    ],
    [
      'from with the role itself',
      model({ web: 'endpoints: {a: {type: internal, port: 1, from: [web]}}' }),
      { line: 10, path: 'roles.web.endpoints.a.from.0', message: /by mesh alone/ },
    ],
    [
      'from that names nobody',
      model({ web: 'endpoints: {a: {type: internal, port: 1, from: []}}' }),
      { line: 10, path: 'roles.web.endpoints.a.from', message: /names nobody/ },
    ],
    [
      'a port that is a text',
      model({ web: 'endpoints: {a: {type: input, port: "80"}}' }),
      { line: 10, path: 'roles.web.endpoints.a.port', message: /^must be a number, not a text$/ },
    ],
    [
      'outbound that is a word',
      model({ web: 'outbound: none' }),
      { line: 10, path: 'roles.web.outbound', message: /^must be true, false, or a list of networks/ },
    ],
    [
      'outbound with an address in place of its network',
      model({ web: 'outbound: [10.1.0.5/16]' }),
      { line: 10, path: 'roles.web.outbound.0', message: /bits set/, fix: 'Write 10.1.0.0/16.' },
    ],
    [
      'outbound with a length that could be octal',
      model({ web: 'outbound: [10.0.0.0/08]' }),
      { line: 10, path: 'roles.web.outbound.0', message: /begins with 0/, fix: 'Write 10.0.0.0/8.' },
    ],
    [
      'a key with two letters that have changed places',
      model({ web: 'mseh: true' }),
      { line: 10, path: 'roles.web.mseh', message: /unknown key/, fix: 'Did you mean mesh?' },
    ],
    [
      'a size that is a number',
      model({ web: 'mesh: true' }).replace('size: small', 'size: 3'),
      { path: 'roles.web.size', message: /^must be the name of a size, or / },
    ],
    [
      'a type that there is not',
      model({ web: 'endpoints: {a: {type: output, port: 80}}' }),
      { path: 'roles.web.endpoints.a.type', message: /^must be one of input, internal, instance$/ },
    ],
    [
      'port 0',
      model({ web: 'endpoints: {a: {type: input, port: 0}}' }),
      { line: 10, path: 'roles.web.endpoints.a.port', message: /must be at least 1/ },
    ],
    [
      'port 65536',
      model({ web: 'endpoints: {a: {type: input, port: 65536}}' }),
      { line: 10, path: 'roles.web.endpoints.a.port', message: /must be at most 65535/ },
    ],
    [
      'port 80.5',
      model({ web: 'endpoints: {a: {type: input, port: 80.5}}' }),
      { line: 10, path: 'roles.web.endpoints.a.port', message: /whole number from 1 to 65535/ },
    ],
    [
      'an internal endpoint that is to lead elsewhere',
      model({ web: 'endpoints: {a: {type: internal, port: 80, targetPort: 8080}}' }),
      {
        line: 10,
        path: 'roles.web.endpoints.a.targetPort',
        fix: 'Make its port 8080, and leave targetPort out.',
        message: /where it listens/,
      },
    ],
    [
      'a name of a certificate that is none',
      model({
        web: 'endpoints: {a: {type: input, port: 1, certificate: {name: crm, names: [--x.example]}}}',
      }),
      {
        line: 10,
        path: 'roles.web.endpoints.a.certificate.names.0',
        message: /must be a DNS name in lower case/,
      },
    ],
    [
      'a certificate with a misspelt key',
      model({
        web: 'endpoints: {a: {type: input, port: 1, certificate: {name: crm, names: [a.example], hosts: []}}}',
      }),
      {
        line: 10,
        path: 'roles.web.endpoints.a.certificate.hosts',
        message: /unknown key/,
        fix: 'Known keys here: name, names.',
      },
    ],
    [
      'a certificate that is neither',
      model({ web: 'endpoints: {a: {type: input, port: 1, certificate: Crm}}' }),
      { line: 10, path: 'roles.web.endpoints.a.certificate', message: /must be a DNS label/ },
    ],
    [
      'a certificate on an internal endpoint',
      model({ web: 'endpoints: {a: {type: internal, port: 1, certificate: crm}}' }),
      { line: 10, path: 'roles.web.endpoints.a.certificate', message: /load balancer/ },
    ],
    [
      'a limit on an internal endpoint',
      model({ web: 'endpoints: {a: {type: internal, port: 1, limit: {rate: 1}}}' }),
      { line: 10, path: 'roles.web.endpoints.a.limit', message: /load balancer/ },
    ],
    [
      'a limit of nothing',
      model({ web: 'endpoints: {a: {type: input, port: 1, limit: {}}}' }),
      { line: 10, path: 'roles.web.endpoints.a.limit', message: /needs connections, rate or both/ },
    ],
    [
      'a limit that lets nobody in',
      model({ web: 'endpoints: {a: {type: input, port: 1, limit: {connections: 0}}}' }),
      { line: 10, path: 'roles.web.endpoints.a.limit.connections', message: /at least 1/ },
    ],
    [
      'a limit with a misspelt key',
      model({ web: 'endpoints: {a: {type: input, port: 1, limit: {rate: 5, conections: 3}}}' }),
      {
        line: 10,
        path: 'roles.web.endpoints.a.limit.conections',
        message: /unknown key/,
        fix: 'Did you mean connections?',
      },
    ],
    [
      'udp at the load balancer',
      model({ web: 'endpoints: {a: {type: input, port: 1, protocol: udp}}' }),
      { line: 10, path: 'roles.web.endpoints.a.protocol', message: /does not carry udp/ },
    ],
    [
      'a network that is none',
      model({ web: 'outbound: [10.0.0.0/33]' }),
      { line: 10, path: 'roles.web.outbound.0', message: /must be a network/ },
    ],
    [
      'a network with bits behind its length',
      model({ web: 'outbound: ["2001:db8::1/32"]' }),
      { line: 10, path: 'roles.web.outbound.0', message: /behind its prefix length \/32/ },
    ],
    [
      'a network that is none, of a machine',
      model({ web: 'mesh: true' }, { db: 'outbound: [10.0.0.0/8, 10.0.0.1/8]' }),
      { line: 15, path: 'machines.db.outbound.1', message: /behind its prefix length \/8/ },
    ],
    [
      'a machine on the network of a role',
      model({ web: 'mesh: true' }, { db: 'network: web' }),
      { line: 15, path: 'machines.db.network', message: /network of the role web/ },
    ],
    [
      'a public machine that publishes nothing',
      model({ web: 'mesh: true' }, { db: 'public: true' }),
      { line: 15, path: 'machines.db.public', message: /needs an endpoint of type input/ },
    ],
    [
      'an instance endpoint of a machine',
      model({ web: 'mesh: true' }, { db: 'endpoints: {x: {type: instance, port: 80}}' }),
      { line: 15, path: 'machines.db.endpoints.x.type', message: /instance is for roles/ },
    ],
  ])('%s', (_what, source, { message, ...where }) => {
    const problems = problemsOf(source);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject(where);
    expect(problems[0]?.message).toMatch(message);
    expect(problems[0]?.column).toBeGreaterThan(1);
  });

  test('a public machine may have the port of a role', () => {
    const machine = { db: 'public: true\n    endpoints: {x: {type: input, port: 80}}' };
    expect(problemsOf(model({ web: 'endpoints: {http: {type: input, port: 80}}' }, machine))).toEqual([]);
  });
});
