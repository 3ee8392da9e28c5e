import type { EndpointRow } from '../../controller/client/index.ts';
import { type GoldenLab, TINY } from './golden-lab.ts';
import { HeldRequest } from './held-request.ts';
import { leftoversOn } from './leftovers.ts';
import { waitFor } from './wait-for.ts';
import type { PsRow } from './weft.ts';

const PROBE_INTERVAL_MS = 1_000;
const PROBE_TIMEOUT_MS = 2_000;
/** A backend is out after two looks that failed: each begins an interval after the one before, and has failed at its timeout at the latest. */
const PROBE_WINDOW_MS = 2 * (PROBE_INTERVAL_MS + PROBE_TIMEOUT_MS);
/** What anything here may take longer than it should, on a machine that has too much to do. */
export const SLACK_MS = 15_000;
/** How long connections of what goes may last. */
export const LONG_DRAIN_MS = 60_000;
const LIMIT_MS = 60_000;
const TCP_PORT = 81;

const common = (check: string, drainMs: number) =>
  `targetPort: 8080, drain: ${drainMs}ms, probe: {${check}, interval: ${PROBE_INTERVAL_MS}ms, timeout: ${PROBE_TIMEOUT_MS}ms}`;

/** Served twice: `http`, where a GET may be asked of another backend, and `tcp`, where nothing is. */
const model = (root: string, instances: number, drainMs: number) => `
apiVersion: weft/v1
kind: Application
name: front
roles:
  web:
    kind: worker
    image: "tiny:stable"
    size: ${TINY}
    instances: ${instances}
    start: "busybox httpd -f -p 8080 -h ${root}"
    endpoints:
      http: {type: input, port: 80, ${common('http: /hostname', drainMs)}}
      tcp: {type: input, protocol: tcp, port: ${TCP_PORT}, ${common('tcp: true', drainMs)}}
`;
export const NAMES = ['http', 'tcp'];

/** As load balancers call it. */
export const backendOf = ({ index, incarnation }: Pick<PsRow, 'index' | 'incarnation'>): string =>
  `web-${index}.${incarnation}`;

/** Every backend of each endpoint that all edge hosts find up. */
const up = (rows: readonly EndpointRow[]) =>
  rows.map(({ backends }) => backends.filter(({ state }) => state === 'up').map(({ name }) => name));

/** An application behind a public address, whose instances say their names. */
export class ServedFront {
  readonly #golden: GoldenLab;
  vip = '';

  constructor(golden: GoldenLab) {
    this.#golden = golden;
  }

  /** @param root what each serves; a definition that differs makes all anew. */
  async apply(root: string, instances: number, drainMs = LONG_DRAIN_MS): Promise<void> {
    const file = await this.#golden.model(model(root, instances, drainMs));
    await this.#golden.weft.ok(['apply', '-f', file, '--wait'], { timeoutMs: 400_000 });
    this.vip = (await this.endpoints())[0]?.addresses[0] ?? '';
  }

  get urls(): readonly string[] {
    return [80, TCP_PORT].map((port) => `http://${this.vip}:${port}/hostname`);
  }

  endpoints(): Promise<readonly EndpointRow[]> {
    return this.#golden.weft.endpoints('front');
  }

  rows(): Promise<readonly PsRow[]> {
    return this.#golden.weft.ps('front');
  }

  /** The backends that are to be there now. */
  async backends(): Promise<readonly string[]> {
    return (await this.rows()).map(backendOf);
  }

  /** The host that has the address; empty: none. */
  async holder(): Promise<string> {
    return (await this.endpoints()).find(({ host }) => host !== null)?.host ?? '';
  }

  /** Each endpoint has all instances, and nothing else, up. */
  async untilServed(limitMs = LIMIT_MS): Promise<void> {
    await waitFor(
      'all to be served',
      async () => ({ found: up(await this.endpoints()), wanted: await this.backends() }),
      ({ found, wanted }) =>
        found.length === NAMES.length &&
        found.every((names) => [...names].sort().join() === [...wanted].sort().join()),
      limitMs,
    );
  }

  /** Waits for the load balancer to have found it out, as long as that may take. @returns Unix ms of when it was seen. */
  async untilOut(backend: string): Promise<number> {
    await waitFor(
      `${backend} to be out`,
      async () => up(await this.endpoints()),
      (found) => found.length === NAMES.length && found.every((names) => !names.includes(backend)),
      PROBE_WINDOW_MS + SLACK_MS,
    );
    return Date.now();
  }

  /** Pid of its QEMU, in its host. */
  async qemuOf({ id, host }: PsRow): Promise<string> {
    const { qemus } = await leftoversOn(this.#golden.lab, String(host));
    return String(qemus.find((line) => line.includes(`-${id.replace('/', '-')}-`))?.split(' ')[0]);
  }

  /** Something that is open with every instance: they are asked in turn. */
  async hold(): Promise<readonly HeldRequest[]> {
    const held: HeldRequest[] = [];
    for (const _each of await this.rows())
      for (const _twice of [1, 2]) held.push(await HeldRequest.begin(this.vip, TCP_PORT, '/hostname'));
    return held;
  }
}
