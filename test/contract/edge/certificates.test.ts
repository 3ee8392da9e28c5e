import { createHash, X509Certificate } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf } from '../../../agent/kit/digest.ts';
import { exec } from '../../../agent/kit/exec.ts';
import { isSameDocument } from '../../../agent/kit/same-document.ts';
import type {
  Challenge,
  EdgeGoal,
  PublishedEndpoint,
  WantedCertificate,
} from '../../../agent/protocol/index.ts';
import type { Authority } from '../../../controller/fleet/authority.ts';
import { anAuthority } from '../../support/certificates.ts';
import { waitFor } from '../../support/wait-for.ts';
import { EdgeStage } from './stage.ts';

/** The edge host's own: no address moves here. */
const HOST = '10.213.7.1';
const stage = new EdgeStage();
let authority: Authority;

const endpoint = (over: Partial<PublishedEndpoint> = {}): PublishedEndpoint => ({
  ...{ id: 'crm/web/http', addresses: [HOST], port: 80, protocol: 'http', proxyProtocol: false },
  backends: [{ name: 'web-0.1', address: '10.213.7.11', port: 80, state: 'ready' }],
  ...over,
});
const PLAIN = endpoint();
const TLS = endpoint({ id: 'crm/web/https', port: 443, certificate: 'shop' });

const goal = (over: Partial<EdgeGoal> = {}): EdgeGoal => ({
  addresses: [],
  endpoints: [PLAIN, TLS],
  ...over,
});

async function issue(): Promise<{ readonly text: string; readonly fingerprint: string }> {
  const { certificate, key } = await authority.issueServer(['shop.example.org'], Date.now());
  return { text: `${certificate}\n${key}`, fingerprint: new X509Certificate(certificate).fingerprint256 };
}

/** As a controller keeps it. */
async function keep(name: string, text: string): Promise<WantedCertificate> {
  await writeFile(join(stage.kept(), `${name}.pem`), text);
  return { name, digest: `sha256:${createHash('sha256').update(text).digest('hex')}` };
}

/** Fingerprint of what is shown to a client. */
async function shown(): Promise<string> {
  const { stdout } = await exec(
    'ip',
    [...['netns', 'exec', stage.namespace('world'), 'openssl', 's_client', '-connect', `${HOST}:443`]],
    { input: '', okExitCodes: [0, 1], timeoutMs: 30_000 },
  );
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(stdout)?.[0];
  return pem === undefined ? '' : new X509Certificate(pem).fingerprint256;
}
const untilShown = (fingerprint: string) =>
  waitFor('the certificate to be shown', shown, (found) => found === fingerprint, 60_000);

/** It tells that it serves exactly this one. */
const untilTold = (served: WantedCertificate) =>
  stage.until('a', 'what it serves to be told', ({ certificates }) => isSameDocument(certificates, [served]));

const delivered = () => join(stage.folder('a'), 'certificates');
const isServed = (id: string) => (report: { endpoints: readonly { id: string; state: string }[] }) =>
  report.endpoints.some((each) => each.id === id && each.state === 'served');

beforeAll(async () => {
  authority = await anAuthority();
  await stage.up();
  stage.startKeeper('a');
  await stage.world('serve', { name: 'web-0', address: '10.213.7.11' });
  stage.tell('a', goal({ endpoints: [PLAIN] }));
  await stage.until('a', 'the endpoint', isServed(PLAIN.id));
});
afterAll(() => stage.down());

describe('a certificate that the controller keeps', () => {
  it('is fetched, kept for nobody else to read, and served', async () => {
    const { text, fingerprint } = await issue();
    const kept = await keep('shop', text);
    stage.tell('a', goal({ certificates: [kept] }));
    await stage.until('a', 'TLS', isServed(TLS.id));
    expect(await shown()).toBe(fingerprint);
    await untilTold(kept);
    expect((await stat(join(delivered(), 'shop.pem'))).mode & 0o777).toBe(0o600);
    expect((await stat(stage.folder('a'))).mode & 0o777).toBe(0o700);
    const { stdout } = await exec('grep', ['-rl', 'PRIVATE KEY', stage.folder('a')], { okExitCodes: [0, 1] });
    expect(stdout.split('\n').filter(Boolean)).toEqual([join(delivered(), 'shop.pem')]);
  });

  it('is replaced by another one without a failed request', async () => {
    for (const tls of [true, false])
      await stage.world('load', { name: `load-${tls}`, host: HOST, port: tls ? 443 : 80, tls });
    for (let renewal = 0; renewal < 3; renewal++) {
      const { text, fingerprint } = await issue();
      stage.tell('a', goal({ certificates: [await keep('shop', text)] }));
      await untilShown(fingerprint);
      for (let count = 0; count < 20; count++) expect(await stage.ask(HOST)).toMatch(/^web-0/);
    }
    for (const tls of [true, false]) {
      const loaded = await stage.world<{ ok: number }>('end', { name: `load-${tls}` });
      expect(loaded).toMatchObject({ failures: 0, first: [] });
      expect(loaded.ok).toBeGreaterThan(0);
    }
  });

  it('goes before one of the host’s own, which is served until it has come, and when it is gone', async () => {
    const [own, kept] = [await issue(), await issue()];
    await writeFile(join(stage.certificates('a'), 'shop.pem'), own.text, { mode: 0o600 });
    stage.tell('a', goal());
    await untilShown(own.fingerprint);
    await waitFor(
      'nothing to be left of it',
      () => readdir(delivered()),
      (files) => files.length === 0,
      60_000,
    );
    const { name } = await keep('shop', 'not this one');
    const digest = `sha256:${createHash('sha256').update(kept.text).digest('hex')}`;
    stage.tell('a', goal({ certificates: [{ name, digest }] }));
    await stage.until('a', 'TLS to go on', isServed(TLS.id));
    expect(await shown()).toBe(own.fingerprint);
    await untilTold({ name, digest: digestOf(own.text) });
    await keep('shop', kept.text);
    await untilShown(kept.fingerprint);
    await untilTold({ name, digest });
    expect(await readFile(join(stage.certificates('a'), 'shop.pem'), 'utf8')).toBe(own.text);
  });

  it('is served on by the next agent, also while no controller answers', async () => {
    const before = await shown();
    await stage.killKeeper('a');
    await writeFile(join(stage.kept(), 'shop.pem'), 'gone');
    const text = await readFile(join(delivered(), 'shop.pem'));
    stage.startKeeper('a');
    const digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
    stage.tell('a', goal({ certificates: [{ name: 'shop', digest }] }));
    await stage.until('a', 'TLS', isServed(TLS.id));
    expect(await shown()).toBe(before);
  });
});

describe('a challenge of ACME', () => {
  const token = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA';
  const challenges: readonly Challenge[] = [
    { token, authorization: `${token}.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ` },
  ];
  const path = `/.well-known/acme-challenge/${token}`;
  const answered = ({ challenges: tokens = [] }: { readonly challenges?: readonly string[] | undefined }) =>
    tokens.includes(token);
  const askChallenge = () => stage.ask(HOST, 80, path);
  const plain = (over: Partial<EdgeGoal> = {}) => goal({ endpoints: [PLAIN], ...over });

  it('is answered at port 80 by the load balancer itself, without a reload, and everything else by backends', async () => {
    stage.tell('a', plain());
    await stage.until('a', 'nothing but this', ({ endpoints }) => endpoints.length === 1);
    await waitFor('the backend to answer', askChallenge, (text) => text.startsWith('web-0'), 60_000);
    const before = await stage.pidsOf('a', 'haproxy');
    await stage.world('load', { name: 'challenges', host: HOST, port: 80 });
    stage.tell('a', plain({ challenges: [...challenges] }));
    await stage.until('a', 'the challenge to be answered', answered);
    expect(await askChallenge()).toBe(challenges[0]?.authorization);
    expect(await stage.ask(HOST, 80, `${path}x`)).toMatch(/^web-0/);
    expect(await stage.ask(HOST)).toMatch(/^web-0/);
    // Earlier workers may have ended, and none has come.
    expect(before).toEqual(expect.arrayContaining(await stage.pidsOf('a', 'haproxy')));
    expect(await stage.world('end', { name: 'challenges' })).toMatchObject({ failures: 0, first: [] });
  });

  it('is answered by whatever load balancer comes next, until it is over', async () => {
    const more = endpoint({ id: 'crm/web/more', port: 81 });
    stage.tell('a', plain({ endpoints: [PLAIN, more], challenges: [...challenges] }));
    await stage.until('a', 'a reload', isServed(more.id));
    expect(await askChallenge()).toBe(challenges[0]?.authorization);
    for (const pid of await stage.pidsOf('a', 'haproxy')) process.kill(pid, 'SIGKILL');
    await waitFor('an answer again', askChallenge, (text) => text === challenges[0]?.authorization, 60_000);
    stage.tell('a', plain());
    await waitFor('the backend to answer', askChallenge, (text) => text.startsWith('web-0'), 60_000);
    await stage.until('a', 'nothing to be answered', (report) => !answered(report));
  });
});
