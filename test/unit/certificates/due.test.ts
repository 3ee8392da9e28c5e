import { expect, test } from 'vitest';
import type { Report } from '../../../agent/protocol/index.ts';
import { planObtaining, renewalMs } from '../../../controller/certificates/due.ts';
import { certificateRows } from '../../../controller/certificates/rows.ts';
import { type ServingHost, servingHosts } from '../../../controller/certificates/served.ts';
import { usesOf } from '../../../controller/certificates/uses.ts';
import { isDnsName, uncovered } from '../../../controller/model/dns-names.ts';
import type { CertificateRecord, KeptCertificate } from '../../../controller/model/index.ts';
import { AN_HTTPS, anApplication, aRole } from '../../support/builders/application.ts';
import { aHost } from '../../support/builders/host.ts';

const DAY_MS = 86_400_000;

const kept = (over: Partial<KeptCertificate> = {}): KeptCertificate => ({
  ...{
    digest: `sha256:${'0'.repeat(64)}`,
    names: ['shop.example.org'],
    issuer: 'ca',
    fingerprint: 'f'.repeat(64),
  },
  ...{ notBeforeMs: 0, notAfterMs: 90 * DAY_MS, putAtMs: 0, by: 'admin', ...over },
});
const record = (over: Partial<CertificateRecord> = {}): CertificateRecord => ({
  ...{ name: 'shop', kept: kept() },
  ...over,
});
const shop = (certificateNames?: readonly string[], more: Record<string, object> = {}) =>
  anApplication('crm', {
    roles: {
      web: aRole({
        endpoints: {
          https: { ...AN_HTTPS, ...(certificateNames ? { certificateNames } : {}) },
          ...more,
        } as never,
      }),
    },
  });
const planned = (records: readonly CertificateRecord[], names: readonly string[], nowMs: number) =>
  planObtaining(records, usesOf([shop(names)]), nowMs);

test('what is not there is due at once; what is there when a third of its life is left', () => {
  const names = ['shop.example.org'];
  expect(planned([], names, 5)).toEqual({
    due: [{ name: 'shop', names, why: 'there is none' }],
    nextMs: null,
  });
  expect(renewalMs(kept())).toBe(60 * DAY_MS);
  expect(planned([record()], names, 60 * DAY_MS - 1)).toEqual({ due: [], nextMs: 60 * DAY_MS });
  expect(planned([record()], names, 60 * DAY_MS).due).toMatchObject([{ name: 'shop' }]);
});

test('one for which nobody says names is left to whoever puts it there', () => {
  expect(planObtaining([], usesOf([shop()]), 0)).toEqual({ due: [], nextMs: null });
  expect(planObtaining([record()], usesOf([shop()]), 89 * DAY_MS)).toEqual({ due: [], nextMs: null });
});

test('names of all endpoints that want it are joined, and one that it is not for makes it due', () => {
  const uses = usesOf([
    shop(['b.example.org', 'a.example.org'], {
      other: { ...AN_HTTPS, port: 444, certificateNames: ['c.example.org'] },
    }),
  ]);
  expect(uses.get('shop')).toEqual({
    endpoints: ['crm/web/https', 'crm/web/other'],
    names: ['a.example.org', 'b.example.org', 'c.example.org'],
  });
  expect(planned([record()], ['shop.example.org', 'www.example.org'], 0).due).toMatchObject([
    { why: 'it is not for www.example.org' },
  ]);
});

test('after a failure it waits, unless other names are wanted by now', () => {
  const names = ['shop.example.org'];
  const attempt = { failures: 2, failedAtMs: 10, message: 'no', nextAtMs: 600, names };
  const failed = [record({ kept: null, attempt })];
  expect(planned(failed, names, 599)).toEqual({ due: [], nextMs: 600 });
  expect(planned(failed, names, 600).due).toHaveLength(1);
  expect(planned(failed, ['shop.example.com'], 20).due).toHaveLength(1);
});

test('what was asked for is due whatever is left of its life, and whatever failed before; and waits again after it has failed', () => {
  const names = ['shop.example.org'];
  const attempt = { failures: 2, failedAtMs: 10, message: 'no', nextAtMs: 600, names };
  const asked = record({ askedAtMs: 20, attempt });
  expect(planned([asked], names, 30).due).toMatchObject([{ why: 'it was asked for' }]);
  expect(planned([{ ...asked, attempt: { ...attempt, failedAtMs: 30 } }], names, 40).due).toEqual([]);
  expect(planned([{ ...asked, kept: kept({ putAtMs: 20 }) }], names, 40).due).toEqual([]);
});

test('a star is one label', () => {
  expect(uncovered(['a.b.example', 'b.example', 'x.a.b.example', '*.b.example'], ['*.b.example'])).toEqual([
    ...['b.example', 'x.a.b.example'],
  ]);
});

test('a name is nothing but a name', () => {
  const good = [
    'shop.example.org',
    '*.example.org',
    'xn--caf-dma.example',
    '_x.example.org',
    '1.example.org',
  ];
  const bad = [
    '',
    'shop',
    '-x.example.org',
    '--hook.example.org',
    'a..b',
    'a.b.',
    'A.b',
    '*',
    '*.org',
    'a.*.b',
    'a b.c',
    "a';b.c",
    `${'a'.repeat(64)}.b`,
    'é.b',
    'a.b\n',
  ];
  expect(good.filter((each) => !isDnsName(each))).toEqual([]);
  expect(bad.filter(isDnsName)).toEqual([]);
});

test('a list tells what an operator should know', () => {
  const names = ['shop.example.org'];
  const rows = (
    records: readonly CertificateRecord[],
    application: ReturnType<typeof shop>,
    hasHook: boolean,
    nowMs = 0,
    edges: readonly ServingHost[] = [],
  ) => certificateRows(records, [application], { hasHook, nowMs, edges });
  expect(rows([record()], shop(), false)).toMatchObject([
    { name: 'shop', endpoints: ['crm/web/https'], wanted: [], renewalMs: null, notes: [] },
  ]);
  expect(rows([record({ name: 'old' })], anApplication('crm'), true)).toMatchObject([
    { name: 'old', endpoints: [] },
  ]);
  expect(rows([], shop(), false)[0]?.notes.join()).toContain(
    'Put it there with: weft certificate put shop --file FILE',
  );
  const digest = `sha256:${'0'.repeat(64)}`;
  const edges = ['h1', 'h2', 'h3', 'h4'].map((host, index) => ({
    host,
    certificates: [
      new Map([['shop', digest]]),
      new Map([['shop', `sha256:${'1'.repeat(64)}`]]),
      new Map<string, string>(),
      null,
    ][index] as ServingHost['certificates'],
    problems: new Map(host === 'h2' ? [['shop', 'others may read it']] : []),
  }));
  const states = ['served', 'other', 'none', 'unknown'];
  const hosts = states.map((state, index) => ({ host: `h${index + 1}`, state }));
  expect(rows([record()], shop(), false, 0, edges)).toMatchObject([
    { hosts, notes: ['h2: others may read it'] },
  ]);
  // Nobody is to serve what no endpoint names.
  expect(rows([record()], anApplication('crm'), false, 0, edges)).toMatchObject([{ hosts: [] }]);
  const [none] = rows([], shop(names), false);
  expect(none?.notes.join()).toContain('the controller has none');
  expect(none?.notes.join()).toContain('no --certificate-hook');
  const attempt = { failures: 2, failedAtMs: 10, message: 'no answer', nextAtMs: 60_000, names };
  const [failed] = rows([record({ kept: null, attempt })], shop(names), true);
  expect(failed?.notes.join()).toContain(
    'could not be obtained (2 in a row): no answer; it is tried again at 1970-01-01 00:01:00 UTC',
  );
  expect(failed?.notes.join()).toContain('HTTP-01 is not answered where crm/web/https is');
  const answering = shop(names, { http: { ...AN_HTTPS, port: 80, certificate: undefined } });
  expect(rows([record()], answering, true)).toMatchObject([{ renewalMs: 60 * DAY_MS, notes: [] }]);
  expect(rows([record()], answering, true, 91 * DAY_MS)[0]?.notes).toContain('it has expired');
});

test('edge hosts tell which certificates they serve as long as they are heard', () => {
  const anEdge = (name: string) => {
    const host = aHost(name);
    const underlay = { address: '192.0.2.1', mtu: 1_500, networks: [] };
    return { ...host, offer: host.offer && { ...host.offer, edge: true, underlay } };
  };
  const digest = `sha256:${'0'.repeat(64)}`;
  const edge = {
    endpoints: [],
    held: [],
    missing: [],
    certificates: [{ name: 'shop', digest, problem: 'bad' }],
  };
  const link = (name: string, connected: boolean, told: object) => ({
    ...{ name, connected, report: { edge: told } as unknown as Report },
  });
  expect(
    servingHosts(['h1', 'h2', 'h3', 'h4'].map(anEdge), [
      link('h1', true, edge),
      link('h2', false, edge),
      link('h3', true, { endpoints: [], held: [], missing: [] }),
    ]),
  ).toEqual([
    { host: 'h1', certificates: new Map([['shop', digest]]), problems: new Map([['shop', 'bad']]) },
    ...['h2', 'h3', 'h4'].map((host) => ({ host, certificates: null, problems: new Map() })),
  ]);
});
