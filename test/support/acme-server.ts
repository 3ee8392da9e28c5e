import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { readText } from '../../agent/kit/read-text.ts';
import { anAuthority } from './certificates.ts';
import { freePort } from './free-port.ts';
import { NameServer } from './name-server.ts';
import { waitFor } from './wait-for.ts';

/** A certification authority that speaks ACME (Pebble), on loopback. It validates by HTTP-01, at port 80 of one address, whatever the name. */
export class AcmeServer {
  readonly directory: string;
  /** PEM of what signs its own certificate. */
  readonly ca: string;
  readonly #management: string;
  readonly #names: NameServer;
  readonly #process: ChildProcess;

  private constructor(ports: readonly [number, number], ca: string, names: NameServer, child: ChildProcess) {
    this.directory = `https://127.0.0.1:${ports[0]}/dir`;
    this.#management = `https://127.0.0.1:${ports[1]}`;
    this.ca = ca;
    this.#names = names;
    this.#process = child;
  }

  /** @param folder for its files. @param address where every name is. */
  static async start(folder: string, address: string): Promise<AcmeServer> {
    const authority = await anAuthority();
    const { certificate, key } = await authority.issueServer(['127.0.0.1'], Date.now());
    const files = { certificate: join(folder, 'acme.pem'), privateKey: join(folder, 'acme.key') };
    await writeFile(files.certificate, certificate);
    await writeFile(files.privateKey, key, { mode: 0o600 });
    const ports = [await freePort(), await freePort()] as const;
    const [listenAddress, managementListenAddress] = ports.map((port) => `127.0.0.1:${port}`);
    const pebble = { ...files, listenAddress, managementListenAddress, httpPort: 80, tlsPort: 443 };
    const configuration = join(folder, 'acme.json');
    await writeFile(configuration, JSON.stringify({ pebble }));
    const names = await NameServer.start(address);
    const child = spawn('pebble', ['-config', configuration, '-dnsserver', names.address], {
      // It waits, and refuses good requests, at random otherwise.
      env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' },
      stdio: 'ignore',
    });
    const server = new AcmeServer(ports, authority.ca, names, child);
    child.once('error', () => undefined);
    const isUp = () => server.#get(server.directory).then(Boolean, () => false);
    await waitFor('the ACME server', isUp, Boolean, 60_000, 50);
    return server;
  }

  /** PEM of the root by which what it issues is believed. */
  root(): Promise<string> {
    return this.#get(`${this.#management}/roots/0`);
  }

  async stop(): Promise<void> {
    this.#names.stop();
    const isOver = this.#process.exitCode !== null || this.#process.signalCode !== null;
    const ended = new Promise((resolve) => (isOver ? resolve(null) : this.#process.once('exit', resolve)));
    this.#process.kill('SIGKILL');
    await ended;
  }

  #get(url: string): Promise<string> {
    return new Promise((resolve, reject) => {
      get(url, { ca: this.ca, agent: false }, (answer) => {
        readText(answer, 1 << 20).then(resolve, reject);
      }).once('error', reject);
    });
  }
}
