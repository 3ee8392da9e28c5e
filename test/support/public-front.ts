import { X509Certificate } from 'node:crypto';
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '../../agent/kit/atomic-file.ts';
import type { EndpointRow } from '../../controller/client/index.ts';
import type { Authority } from '../../controller/fleet/authority.ts';
import { diskOf } from '../lab/host.ts';
import { type GoldenLab, TINY } from './golden-lab.ts';
import { hear } from './hear.ts';
import { rowOf } from './hosts.ts';
import { waitFor } from './wait-for.ts';

export const SERVER = 'front.example.com';
/** The name of the machine's own address. */
export const MACHINE_NAME = 'public.db.front.weft.internal';
export const SSH = 'ssh: {type: input, port: 2222, targetPort: 22}';
const LIMIT_MS = 60_000;

/** What listens on 9000 says what it is told, as hex digits: the PROXY protocol is binary. */
const START = 'busybox nc -ll -p 9000 -e busybox xxd -p & exec busybox httpd -f -p 8080 -h /etc';

/** Instances behind the application's address, and a machine. @param machine more keys of the machine. @param ends its endpoints. */
export const frontModel = (machine: string, ends: string) => `
apiVersion: weft/v1
kind: Application
name: front
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: 2
    start: "${START}"
    endpoints:
      https: {type: input, port: 443, targetPort: 8080, certificate: front, probe: {http: /hostname, interval: 1s, timeout: 2s}}
      told: {type: input, port: 9000, proxyProtocol: true}
      each: {type: instance, protocol: http, port: 7000, targetPort: 8080}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: san, network: back, ${machine}endpoints: {${ends}}}
`;

export interface Certificate {
  /** What signs it follows. */
  readonly certificate: string;
  readonly key: string;
}

export const fingerprintOf = ({ certificate }: Certificate): string =>
  new X509Certificate(certificate).fingerprint256;

/** The first line of SSH, or why there is none. */
export async function greetingOf(address: string, port: number): Promise<string> {
  const { text, error } = await hear(address, port);
  return error ?? text.split('\r\n')[0] ?? '';
}
export const isGreeting = (said: string): boolean => said.startsWith('SSH-2.0-dropbear');

/** An endpoint's rows are what they are to be: served by every edge host, with all backends up. */
export const areServed = (rows: readonly EndpointRow[]): boolean =>
  rows.length > 0 &&
  rows.every(
    ({ state, reason, backends }) =>
      state === 'served' &&
      reason === undefined &&
      backends.length > 0 &&
      backends.every((each) => each.state === 'up'),
  );

/** The application of `frontModel` in a lab, and what of its addresses is seen with other eyes than Weft's. */
export class PublicFront {
  readonly #golden: GoldenLab;
  readonly #authority: Authority;
  readonly hosts: readonly string[];

  constructor(golden: GoldenLab, authority: Authority, hosts: readonly string[]) {
    this.#golden = golden;
    this.#authority = authority;
    this.hosts = hosts;
  }

  async apply(machine: string, ends: string): Promise<void> {
    const file = await this.#golden.model(frontModel(machine, ends));
    await this.#golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 });
  }

  endpoints(): Promise<readonly EndpointRow[]> {
    return this.#golden.weft.endpoints('front');
  }

  /** `db/ssh` → its row. */
  async rows(): Promise<ReadonlyMap<string, EndpointRow>> {
    return new Map((await this.endpoints()).map((row) => [row.id.slice('front/'.length), row]));
  }

  untilServed(): Promise<readonly EndpointRow[]> {
    return waitFor('all to be served', () => this.endpoints(), areServed, 2 * LIMIT_MS);
  }

  async machine() {
    return rowOf(await this.#golden.weft.ps('front'), 'front/db');
  }

  /** A new one, for the server's name. */
  certificate(): Promise<Certificate> {
    return this.#authority.issueServer([SERVER], Date.now());
  }

  /** As an operator would put it on every edge host. */
  async install(name: string, { certificate, key }: Certificate): Promise<void> {
    for (const host of (await this.#golden.lab.state()).hosts) {
      const file = join('var/lib/weft/agent/certificates', `${name}.pem`);
      await writeFileAtomic(
        join(diskOf(this.#golden.lab.layout, host), file),
        `${certificate}\n${key}\n`,
        0o600,
      );
    }
  }

  /** Hosts whose kernel has an address. */
  async having(address: string): Promise<readonly string[]> {
    const shown = await Promise.all(
      this.hosts.map((host) => this.#golden.lab.exec(host, ['ip', '-o', 'address', 'show', 'to', address])),
    );
    return this.hosts.filter((_host, index) => shown[index]?.stdout.trim() !== '');
  }

  /** The host that has all of these, and no other host has one of them. */
  async holderOf(addresses: readonly string[]): Promise<string> {
    const all = await waitFor(
      'one host to have all of the addresses',
      () => Promise.all(addresses.map((each) => this.having(each))),
      (found) => found[0]?.length === 1 && found.every((each) => each.join() === found[0]?.join()),
      LIMIT_MS,
    );
    return String(all[0]?.[0]);
  }

  async untilNobodyHas(addresses: readonly string[]): Promise<void> {
    for (const address of addresses)
      await waitFor(
        `nobody to have ${address}`,
        () => this.having(address),
        (all) => all.length === 0,
        LIMIT_MS,
      );
  }

  /** Waits until each name server says so. @param answer addresses, IPv4 first; empty: there is no such name. */
  async untilNamed(name: string, answer: readonly string[]): Promise<void> {
    const { hosts } = await this.#golden.lab.state();
    const none = ({ code }: NodeJS.ErrnoException) => (code === 'ENOTFOUND' ? [] : [String(code)]);
    const ask = async ({ address }: { readonly address: string }) => {
      const resolver = new Resolver({ timeout: 5_000, tries: 3 });
      resolver.setServers([address]);
      return [await resolver.resolve4(name).catch(none), await resolver.resolve6(name).catch(none)].flat();
    };
    await waitFor(
      `${name} to be ${answer.join(' ') || 'no name'} everywhere`,
      () => Promise.all(hosts.map(ask)),
      (all) => all.every((each) => each.join() === answer.join()),
      LIMIT_MS,
    );
  }

  /** Waits until the machine answers by SSH at each of these. */
  async untilGreeted(addresses: readonly string[], port: number): Promise<void> {
    await waitFor(
      `the machine to answer at ${addresses.join(' and ')} port ${port}`,
      () => Promise.all(addresses.map((each) => greetingOf(each, port))),
      (said) => said.every(isGreeting),
      LIMIT_MS,
    );
  }
}
