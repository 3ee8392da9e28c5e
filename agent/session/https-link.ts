import type { IncomingMessage } from 'node:http';
import { Agent, type RequestOptions, request } from 'node:https';
import type { Readable } from 'node:stream';
import { WeftError } from '../kit/errors.ts';
import { readText } from '../kit/read-text.ts';
import {
  certificateFile,
  type JoinResponse,
  joinResponse,
  type VmSecrets,
  vmSecrets,
} from '../protocol/index.ts';
import type { ControllerLink } from './contract.ts';
import type { Identity } from './identity.ts';
import { splitAddress } from './join.ts';

/** Silence this long on a request ends it; a blob that goes on arriving may take as long as it needs. */
const SILENCE_MS = 20_000;
const MAXIMUM_ANSWER_BYTES = 1 << 20;

/** What this host asks of the controller beside the session, under the same mTLS identity. */
export class HttpsLink implements ControllerLink {
  readonly #identity: () => Identity;
  /** Made for one certificate; a renewed one gets another. */
  #agent: { readonly certificate: string; readonly connections: Agent } | null = null;
  /** Keys of VMs that are on this host, in memory only. */
  readonly #secrets = new Map<string, VmSecrets>();

  constructor(identity: () => Identity) {
    this.#identity = identity;
  }

  async openBlob(
    digest: string,
    fromByte: number,
    signal: AbortSignal,
  ): Promise<{ stream: Readable; totalBytes: number }> {
    const response = await this.#send({
      method: 'GET',
      path: `/agent/v1/blobs/${encodeURIComponent(digest)}`,
      headers: fromByte > 0 ? { range: `bytes=${fromByte}-` } : {},
      signal,
    });
    const { statusCode, headers } = response;
    if (statusCode === 206) {
      const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(headers['content-range'] ?? '');
      if (range && Number(range[1]) === fromByte) return { stream: response, totalBytes: Number(range[2]) };
      response.destroy();
      throw new WeftError('host-unreachable', `the controller answered another range of ${digest}`);
    }
    if (statusCode === 200 && fromByte === 0)
      return { stream: response, totalBytes: Number(headers['content-length'] ?? 0) };
    throw await this.#refusal(response, `blob ${digest}`);
  }

  async fetchSecrets(vmId: string, incarnation: number, signal: AbortSignal): Promise<VmSecrets> {
    const key = `${vmId}@${incarnation}`;
    const known = this.#secrets.get(key);
    if (known) return known;
    const answer = await this.#json(
      'GET',
      `/agent/v1/vms/${vmId}/secrets?incarnation=${incarnation}`,
      null,
      signal,
    );
    const secrets = vmSecrets.parse(answer);
    for (const other of this.#secrets.keys()) if (other.startsWith(`${vmId}@`)) this.#secrets.delete(other);
    this.#secrets.set(key, secrets);
    return secrets;
  }

  /** @returns PEM of a certificate that this host's goal names, with its key; by whoever asks it is kept in a file of mode 0600. */
  async fetchCertificate(name: string, digest: string, signal: AbortSignal): Promise<string> {
    const path = `/agent/v1/certificates/${encodeURIComponent(name)}?digest=${encodeURIComponent(digest)}`;
    return certificateFile.parse(await this.#json('GET', path, null, signal)).pem;
  }

  async renew(csr: string): Promise<JoinResponse> {
    return joinResponse.parse(
      await this.#json('POST', '/agent/v1/renew', { csr }, AbortSignal.timeout(SILENCE_MS)),
    );
  }

  close(): void {
    this.#agent?.connections.destroy();
  }

  #connections(): Agent {
    const { ca, certificate, key } = this.#identity();
    if (this.#agent?.certificate === certificate) return this.#agent.connections;
    const connections = new Agent({ keepAlive: true, maxSockets: 16, ca, cert: certificate, key });
    this.#agent = { certificate, connections };
    return connections;
  }

  async #json(method: string, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const text = body === null ? null : JSON.stringify(body);
    const headers = text === null ? {} : { 'content-type': 'application/json' };
    const response = await this.#send({ method, path, headers, signal }, text);
    if (response.statusCode !== 200) throw await this.#refusal(response, path);
    return JSON.parse(await readText(response, MAXIMUM_ANSWER_BYTES));
  }

  async #refusal(response: IncomingMessage, what: string): Promise<WeftError> {
    const text = await readText(response, MAXIMUM_ANSWER_BYTES).catch(() => '');
    try {
      return WeftError.fromDocument(JSON.parse(text));
    } catch {
      const code = response.statusCode === 404 ? 'not-found' : 'host-unreachable';
      return new WeftError(code, `the controller answered ${response.statusCode} for ${what}`);
    }
  }

  #send(options: RequestOptions, body: string | null = null): Promise<IncomingMessage> {
    const [host, port] = splitAddress(this.#identity().controller);
    return new Promise((resolve, reject) => {
      const call = request(
        { ...options, host, port, agent: this.#connections(), timeout: SILENCE_MS },
        resolve,
      );
      call.on('timeout', () => call.destroy(new Error(`silent for ${SILENCE_MS} ms`)));
      call.on('error', (error) => {
        if (options.signal?.aborted) reject(options.signal.reason);
        else
          reject(
            new WeftError('host-unreachable', `the controller does not answer: ${error.message}`, {
              cause: error,
            }),
          );
      });
      call.end(body ?? undefined);
    });
  }
}
