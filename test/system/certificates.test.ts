import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exec } from '../../agent/kit/exec.ts';
import { readText } from '../../agent/kit/read-text.ts';
import type { CertificateRow } from '../../controller/client/index.ts';
import { REPOSITORY } from '../lab/layout.ts';
import { AcmeServer } from '../support/acme-server.ts';
import { anAuthority } from '../support/certificates.ts';
import { type GoldenLab, goldenLab, TINY } from '../support/golden-lab.ts';
import { waitFor } from '../support/wait-for.ts';

const NAME = 'shop.example.org';
const HOSTS = ['h1', 'h2'];
/** On an edge host. */
const KEPT = '/var/lib/weft/agent/edge/certificates/shop.pem';

/** @param certificate of the endpoint by HTTPS, as a model has it. */
const shop = (certificate: string) => `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 1
    start: "busybox httpd -f -p 8080 -h /etc"
    endpoints:
      http: {type: input, protocol: http, port: 80, targetPort: 8080}
      https: {type: input, protocol: http, port: 443, targetPort: 8080, certificate: ${certificate}}
`;

interface Answer {
  readonly body: string;
  /** SHA-256 of the certificate that was shown, hex. */
  readonly fingerprint: string;
}

/** @param ca whom to believe. */
function ask(address: string, ca: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host: address, servername: NAME, path: '/hostname', headers: { host: NAME }, ca, agent: false },
      (answer) => {
        const shown = (answer.socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 ?? '';
        const fingerprint = shown.replaceAll(':', '').toLowerCase();
        readText(answer, 1 << 16).then((body) => resolve({ body, fingerprint }), reject);
      },
    );
    call.setTimeout(20_000, () => call.destroy(new Error('no answer')));
    call.once('error', reject).end();
  });
}

describe('the certificate of an endpoint', () => {
  let folder: string;
  let golden: GoldenLab;
  let acme: AcmeServer | null = null;
  let address = '';
  const rowOf = async () =>
    (await golden.weft.json<CertificateRow[]>(['certificate', 'ls'])).find(({ name }) => name === 'shop');
  const apply = async (certificate: string) =>
    golden.weft.ok(['apply', '-f', await golden.model(shop(certificate)), '--wait'], { timeoutMs: 400_000 });
  const untilServed = (fingerprint: string | undefined, ca: string) =>
    waitFor(
      'the certificate to be served',
      () => ask(address, ca).catch((error: Error) => ({ body: String(error), fingerprint: '' })),
      (answer) => answer.fingerprint === fingerprint,
      120_000,
    );

  /** The hook that the controller's package has, for an authority that does not exist yet. */
  async function writeHook(): Promise<string> {
    const [hook, weft] = [join(folder, 'hook'), join(folder, 'weft')];
    const command = `exec ${process.execPath} ${join(REPOSITORY, 'controller/cli/weft.mjs')} "$@"`;
    await writeFile(weft, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
    const variables = `WEFT=${weft} WEFT_DEHYDRATED_CONFIG=${join(folder, 'dehydrated.conf')}`;
    const program = join(REPOSITORY, 'controller/packaging/acme-hook');
    await writeFile(hook, `#!/bin/sh\nexport ${variables}\nexec ${program} "$@"\n`, { mode: 0o755 });
    return hook;
  }

  async function register(server: AcmeServer): Promise<void> {
    const [ca, base] = [join(folder, 'ca.pem'), join(folder, 'dehydrated')];
    await writeFile(ca, server.ca);
    await mkdir(join(base, 'wellknown'), { recursive: true });
    const file = join(folder, 'dehydrated.conf');
    const lines = [`CA="${server.directory}"`, `BASEDIR="${base}"`, `WELLKNOWN="${base}/wellknown"`];
    await writeFile(file, `${[...lines, `CURL_OPTS="--cacert ${ca}"`, 'KEY_ALGO=prime256v1'].join('\n')}\n`);
    await exec('dehydrated', ['--register', '--accept-terms', '--config', file], { timeoutMs: 120_000 });
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-acme-'));
    golden = await goldenLab('certificates', {
      ...{ hosts: HOSTS.length, publicAddresses: 1, certificateHook: await writeHook() },
    });
    await apply('shop');
    const endpoints = () => golden.weft.endpoints('shop');
    const served = await waitFor(
      'the application to be served at its address',
      endpoints,
      ([http]) => http?.host != null && http.backends.some(({ state }) => state === 'up'),
    );
    address = served[0]?.addresses[0] ?? '';
  }, 1_300_000);
  afterAll(async () => {
    await acme?.stop();
    await golden?.down();
    await rm(folder, { recursive: true, force: true });
  }, 120_000);

  test('is obtained by ACME through the load balancers, and served by every edge host', async () => {
    acme = await AcmeServer.start(folder, address);
    await register(acme);
    await apply(`{name: shop, names: [${NAME}]}`);
    const row = await waitFor(
      'a certificate',
      rowOf,
      (found) => found?.kept != null || found?.attempt != null,
    );
    expect(row?.attempt ?? null).toBeNull();
    expect(row?.kept).toMatchObject({ names: [NAME], by: 'the certificate hook' });
    const { body } = await untilServed(row?.kept?.fingerprint, await acme.root());
    expect(body).not.toBe('');
    expect(await golden.weft.json(['certificate', 'challenge', 'ls'])).toEqual([]);
    for (const host of HOSTS) {
      const seen = await waitFor(
        `the file on ${host}`,
        () => golden.lab.exec(host, ['stat', '-c', '%a', KEPT], { okExitCodes: [0, 1] }),
        ({ exitCode }) => exitCode === 0,
      );
      expect(seen.stdout.trim()).toBe('600');
    }
  }, 600_000);

  test('is nowhere else with its key: not in records, logs, or what is told of it', async () => {
    const { folder: lab } = golden.lab.layout;
    const pem = (await golden.lab.exec('h1', ['cat', KEPT])).stdout;
    // Not its first line, which any key of its kind may have.
    const secret = /-----BEGIN PRIVATE KEY-----\n.*\n(.*)\n/.exec(pem)?.[1] ?? '';
    expect(secret).toMatch(/^[A-Za-z0-9+/]{64}$/);
    const { stdout } = await exec('grep', ['-rlaF', '-e', secret, lab], {
      okExitCodes: [0, 2],
      timeoutMs: 120_000,
    });
    expect(stdout.split('\n').filter(Boolean).sort()).toEqual(
      ['controller/secrets/certificates/shop.pem', ...HOSTS.map((host) => `${host}${KEPT}`)].map((file) =>
        join(lab, file),
      ),
    );
    const told = await golden.weft.ok(['certificate', 'ls', '--json']);
    expect(told).not.toContain(secret);
  }, 300_000);

  test('is replaced by one that is put there, and is not removed while it is used', async () => {
    const authority = await anAuthority();
    const { certificate, key } = await authority.issueServer([NAME], Date.now());
    const file = await golden.model(`${certificate}\n${key}`, 'other.pem');
    await golden.weft.ok(['certificate', 'put', 'shop', '--file', file]);
    await untilServed((await rowOf())?.kept?.fingerprint, authority.ca);
    const refused = await golden.weft.run(['certificate', 'rm', 'shop']);
    expect([refused.exitCode, refused.stderr]).toEqual([
      1,
      expect.stringContaining('is used by shop/web/https'),
    ]);
  }, 300_000);

  test('is obtained anew when it is asked for: first what the client has, then another one', async () => {
    const put = (await rowOf())?.kept?.fingerprint;
    const renewed = async (than: string | undefined) => {
      await golden.weft.ok(['certificate', 'renew', 'shop']);
      const row = await waitFor(
        'another one',
        rowOf,
        (found) => found?.kept?.fingerprint !== than || found?.attempt != null,
      );
      expect(row?.attempt ?? null).toBeNull();
      return row?.kept?.fingerprint;
    };
    const first = await renewed(put);
    const second = await renewed(first);
    expect(new Set([put, first, second]).size).toBe(3);
    await untilServed(second, (await acme?.root()) ?? '');
  }, 300_000);
});
