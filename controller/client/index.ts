import type { Readable } from 'node:stream';
import type WebSocket from 'ws';
import { WeftError } from '../../agent/kit/errors.ts';
import { type ClientConfig, defaultConfigFile, readClientConfig } from './config.ts';
import { type ServerSentEvent, Transport, type TransportOptions } from './transport.ts';
import type {
  ApplicationDetail,
  ApplicationRow,
  BackupRow,
  CertificateRow,
  ChallengeRow,
  ConnectionQuestion,
  DeviceTestRow,
  Dossier,
  DrainRow,
  EventRow,
  HostDoctor,
  HostRow,
  ImageRow,
  ImportOptions,
  NetworkView,
  PlanRow,
  RollRow,
  VmDetail,
  VmRow,
  WhyAnswer,
} from './types.ts';

export type * from './types.ts';

const encode = encodeURIComponent;
const vmPath = (id: string) => {
  const [app = '', name = ''] = id.split('/');
  if (app === '' || name === '' || id.split('/').length !== 2)
    throw new WeftError('usage', `${id} is no VM: write application/name, for example crm/web-0`);
  return `/v1/vms/${encode(app)}/${encode(name)}`;
};

const backupPath = (backup: string) => {
  const parts = backup.split('/');
  if (parts.length !== 3 || parts.includes(''))
    throw new WeftError('usage', `${backup} is no backup: write application/machine/backup`, {
      remedy: 'See: weft machine backups',
    });
  return `/v1/backups/${parts.map(encode).join('/')}`;
};

/** A controller's users' API. Every method throws WeftError. */
export class WeftClient {
  readonly #transport: Transport;

  constructor(config: ClientConfig, options: TransportOptions = {}) {
    this.#transport = new Transport(config, options);
  }

  static async fromFile(
    file: string = defaultConfigFile(),
    options: TransportOptions = {},
  ): Promise<WeftClient> {
    return new WeftClient(await readClientConfig(file), options);
  }

  close(): void {
    this.#transport.close();
  }

  apply(app: string, source: string, packages: Readonly<Record<string, string>>) {
    return this.#transport.json<{ generation: number; changed: boolean }>(
      'PUT',
      `/v1/applications/${encode(app)}`,
      {
        source,
        packages,
      },
    );
  }
  plan(app: string, source: string, packages: Readonly<Record<string, string>>) {
    return this.#transport.json<PlanRow>('POST', '/v1/plan', { app, source, packages });
  }
  listApplications() {
    return this.#transport.json<readonly ApplicationRow[]>('GET', '/v1/applications');
  }
  getApplication(app: string) {
    return this.#transport.json<ApplicationDetail>('GET', `/v1/applications/${encode(app)}`);
  }
  deleteApplication(app: string) {
    return this.#transport.json<object>('DELETE', `/v1/applications/${encode(app)}`);
  }
  scale(app: string, role: string, instances: number) {
    const path = `/v1/applications/${encode(app)}/roles/${encode(role)}/scale`;
    return this.#transport.json<{ generation: number }>('POST', path, { instances });
  }

  network(app: string) {
    return this.#transport.json<NetworkView>('GET', `/v1/applications/${encode(app)}/network`);
  }
  whyConnection({ from, to, port, protocol }: ConnectionQuestion) {
    const query = new URLSearchParams({ from, to, port: String(port), protocol });
    return this.#transport.json<WhyAnswer>('GET', `/v1/network/why?${query}`);
  }

  listCertificates() {
    return this.#transport.json<readonly CertificateRow[]>('GET', '/v1/certificates');
  }
  /** @param given PEM. */
  putCertificate(name: string, given: { certificate: string; key?: string }) {
    return this.#transport.json<CertificateRow>('PUT', `/v1/certificates/${encode(name)}`, given);
  }
  renewCertificate(name: string) {
    return this.#transport.json<object>('POST', `/v1/certificates/${encode(name)}/renew`);
  }
  removeCertificate(name: string, options: { force: boolean }) {
    return this.#transport.json<object>(
      'DELETE',
      `/v1/certificates/${encode(name)}${options.force ? '?force=true' : ''}`,
    );
  }

  putChallenge(token: string, authorization: string) {
    return this.#transport.json<ChallengeRow>('PUT', `/v1/challenges/${encode(token)}`, { authorization });
  }
  listChallenges() {
    return this.#transport.json<readonly ChallengeRow[]>('GET', '/v1/challenges');
  }
  /** `removed` is absent of an older controller, which does not say. */
  removeChallenge(token: string) {
    return this.#transport.json<{ removed?: boolean }>('DELETE', `/v1/challenges/${encode(token)}`);
  }

  listVms(app?: string) {
    return this.#transport.json<readonly VmRow[]>(
      'GET',
      `/v1/vms${app === undefined ? '' : `?app=${encode(app)}`}`,
    );
  }
  async getVm(id: string) {
    return this.#transport.json<VmDetail>('GET', vmPath(id));
  }
  async dossier(id: string) {
    return this.#transport.json<Dossier>('GET', `${vmPath(id)}/dossier`);
  }
  /** A picture of its screen, PPM or PNG. */
  async screenshot(id: string, of: 'now' | 'end') {
    return this.#transport.bytes(`${vmPath(id)}/screenshot?of=${of}`);
  }
  async rebootVm(id: string) {
    return this.#transport.json<object>('POST', `${vmPath(id)}/reboot`);
  }
  async reimageVm(id: string) {
    return this.#transport.json<object>('POST', `${vmPath(id)}/reimage`);
  }
  async moveVm(
    id: string,
    options: { to?: string; cold?: boolean; live?: boolean; copyStorage?: boolean } = {},
  ) {
    return this.#transport.json<object>('POST', `${vmPath(id)}/move`, options);
  }
  async abortMove(id: string) {
    return this.#transport.json<object>('DELETE', `${vmPath(id)}/move`);
  }
  async deleteMachine(id: string) {
    return this.#transport.json<object>('DELETE', vmPath(id));
  }
  /** @param to a backup target or pool of its host. */
  async backupMachine(id: string, to?: string) {
    return this.#transport.json<{ backup: string }>(
      'POST',
      `${vmPath(id)}/backups`,
      to === undefined ? {} : { to },
    );
  }
  listBackups(app?: string, machine?: string) {
    const query = new URLSearchParams({
      ...(app === undefined ? {} : { app }),
      ...(machine === undefined ? {} : { machine }),
    });
    return this.#transport.json<readonly BackupRow[]>('GET', `/v1/backups?${query}`);
  }
  async getBackup(backup: string) {
    return this.#transport.json<BackupRow>('GET', backupPath(backup));
  }
  /** @param as the new machine; absent: in place. */
  async restoreBackup(backup: string, as?: string) {
    return this.#transport.json<{ request: string; as: string }>(
      'POST',
      `${backupPath(backup)}/restore`,
      as === undefined ? { inPlace: true } : { as },
    );
  }
  async removeBackup(backup: string) {
    return this.#transport.json<object>('DELETE', backupPath(backup));
  }
  async consoleLog(id: string) {
    return this.#transport.json<{ text: string }>('GET', `${vmPath(id)}/console-log`);
  }
  openConsole(id: string): WebSocket {
    return this.#transport.webSocket(`${vmPath(id)}/console`);
  }
  openSsh(id: string, options: { command?: string; tty: boolean; cols: number; rows: number }): WebSocket {
    const query = new URLSearchParams({
      tty: String(options.tty),
      cols: String(options.cols),
      rows: String(options.rows),
      ...(options.command === undefined ? {} : { command: options.command }),
    });
    return this.#transport.webSocket(`${vmPath(id)}/ssh?${query}`);
  }

  uploadPackage(content: Readable) {
    return this.#transport.upload<{ digest: string; sizeBytes: number; folders: readonly string[] }>(
      '/v1/packages',
      content,
    );
  }
  /** @param digest what the content must be; another is refused. */
  uploadFile(content: Readable, digest?: string) {
    const query = digest === undefined ? '' : `?digest=${encodeURIComponent(digest)}`;
    return this.#transport.upload<{ digest: string; sizeBytes: number }>(`/v1/uploads${query}`, content);
  }
  listImages() {
    return this.#transport.json<readonly ImageRow[]>('GET', '/v1/images');
  }
  getImage(name: string, version: string) {
    return this.#transport.json<Record<string, unknown>>(
      'GET',
      `/v1/images/${encode(name)}/${encode(version)}`,
    );
  }
  removeImage(name: string, version: string) {
    return this.#transport.json<object>('DELETE', `/v1/images/${encode(name)}/${encode(version)}`);
  }
  importImage(options: ImportOptions) {
    return this.#transport.json<{ job: string }>('POST', '/v1/images/import', options);
  }
  buildImage(options: {
    recipe: string;
    name?: string | undefined;
    version?: string | undefined;
    channel?: string | undefined;
  }) {
    return this.#transport.json<{ job: string }>('POST', '/v1/images/build', options);
  }
  /** Follows a job to its end. @throws WeftError the job's own. */
  async followJob(job: string, onLine: (line: string) => void): Promise<{ name: string; version: string }> {
    for await (const { event, data } of this.#transport.events(`/v1/jobs/${encode(job)}`)) {
      if (event === 'line') onLine(String(data));
      const end = data as {
        result: { name: string; version: string } | null;
        error: { code: 'internal'; message: string; remedy?: string } | null;
      };
      if (event === 'done' && end.result) return end.result;
      if (event === 'failed' && end.error) throw WeftError.fromDocument(end.error);
    }
    throw new WeftError('host-unreachable', 'the controller went away while it worked on this', {
      remedy: 'Start it again; what was half done left nothing behind.',
    });
  }

  listHosts() {
    return this.#transport.json<readonly HostRow[]>('GET', '/v1/hosts');
  }
  createHostToken(options: { label?: string; ttlMs?: number }) {
    return this.#transport.json<{ token: string }>('POST', '/v1/hosts/tokens', options);
  }
  drainHost(host: string, options: { cold: boolean; live?: boolean; copyStorage?: boolean; roll?: RollRow }) {
    return this.#transport.json<object>('POST', `/v1/hosts/${encode(host)}/drain`, options);
  }
  undrainHost(host: string) {
    return this.#transport.json<object>('POST', `/v1/hosts/${encode(host)}/undrain`);
  }
  drainProgress(host: string) {
    return this.#transport.json<DrainRow>('GET', `/v1/hosts/${encode(host)}/drain`);
  }
  rebootHost(host: string) {
    return this.#transport.json<object>('POST', `/v1/hosts/${encode(host)}/reboot`);
  }
  confirmDead(host: string) {
    return this.#transport.json<object>('POST', `/v1/hosts/${encode(host)}/confirm-dead`);
  }
  fenceTest(host: string) {
    return this.#transport.json<readonly DeviceTestRow[]>('POST', `/v1/hosts/${encode(host)}/fence-test`);
  }
  hostDoctor(host: string) {
    return this.#transport.json<HostDoctor>('GET', `/v1/hosts/${encode(host)}/doctor`);
  }
  /** @returns the id that the doctor's report names once it has looked. */
  examineHost(host: string, options: { repair: boolean; digests: boolean }) {
    return this.#transport.json<{ requestId: string }>('POST', `/v1/hosts/${encode(host)}/doctor`, options);
  }
  removeHost(host: string, options: { force: boolean }) {
    return this.#transport.json<object>(
      'DELETE',
      `/v1/hosts/${encode(host)}${options.force ? '?force=true' : ''}`,
    );
  }

  /** @param subject an application with its VMs, app/role, a VM's id, or a host; null: of all. */
  async listEvents(after = 0, subject: string | null = null): Promise<readonly EventRow[]> {
    const path = eventsPath(after, subject);
    return (await this.#transport.json<{ events: readonly EventRow[] }>('GET', path)).events;
  }
  followEvents(after = 0, subject: string | null = null): AsyncGenerator<ServerSentEvent> {
    return this.#transport.events(eventsPath(after, subject));
  }
  /** Everything as it is, then `synced`, then every change, until the signal. */
  followChanges(signal?: AbortSignal): AsyncGenerator<ServerSentEvent> {
    return this.#transport.events('/v1/changes', signal);
  }
}

const eventsPath = (after: number, subject: string | null) =>
  `/v1/events?after=${after}${subject === null ? '' : `&subject=${encode(subject)}`}`;
