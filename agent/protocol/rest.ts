import { z } from 'zod';
import { digest, uuid } from './primitives.ts';

/** Of the answer that refuses a session: `true` says that an operator has removed this host from the fleet. */
export const REMOVED_HEADER = 'weft-removed';

/**
 * HTTPS beside the WebSocket, on the agents' port, all but `join` with the host's client certificate:
 *
 * POST /agent/v1/join                              joinRequest → joinResponse (the token is the credential; server pinned by CA fingerprint)
 * POST /agent/v1/renew                             renewRequest → joinResponse
 * GET  /agent/v1/session                           WebSocket: hello → welcome, then goal ⇄ report
 * GET  /agent/v1/blobs/{digest}                    bytes; Range honoured; 404 when unknown
 * GET  /agent/v1/vms/{app}/{name}/secrets?incarnation=N   vmSecrets; only to the host the VM is placed on
 * GET  /agent/v1/certificates/{name}?digest=D       certificateFile; only to a host whose goal names it, as it is now
 * GET  /agent/v1/streams/{streamId}                WebSocket, binary frames: raw bytes of a console or SSH connection;
 *                                                  `Upgrade: weft-bytes`, bytes as they are: of a migration that comes here
 * GET  /agent/v1/migrations/{app}/{name}/{incarnation}/{channel}   `Upgrade: weft-bytes`: to the host that this machine is handed over to;
 *                                                  asked of that host's agent itself where it listens for it, else of the controller
 */
export const joinRequest = z.object({
  token: z.string().max(512),
  hostName: z.string().max(64),
  /** PKCS#10, PEM. */
  csr: z.string().max(16_384),
});
export type JoinRequest = z.infer<typeof joinRequest>;

export const renewRequest = joinRequest.pick({ csr: true });

export const joinResponse = z.object({
  fleet: uuid,
  hostName: z.string(),
  /** PEM. */
  certificate: z.string(),
  /** PEM of the fleet's CA. */
  ca: z.string(),
});
export type JoinResponse = z.infer<typeof joinResponse>;

/** Keys of one VM, made by the controller. OpenSSH formats. Kept in memory or in files of mode 0600 only. */
export const vmSecrets = z.object({
  userPrivateKey: z.string(),
  userPublicKey: z.string(),
  hostPrivateKey: z.string(),
  hostPublicKey: z.string(),
});
export type VmSecrets = z.infer<typeof vmSecrets>;

/** A certificate of endpoints, what signs it, and its key, in one PEM file. Kept in files of mode 0600 only. */
export const certificateFile = z.object({ digest, pem: z.string().max(262_144) });
export type CertificateFile = z.infer<typeof certificateFile>;

/** A join token as printed: `weft1.<base64url of this JSON>`. */
export const joinTokenPayload = z.object({
  controller: z.string(),
  secret: z.string(),
  /** SHA-256 of the CA certificate's DER, hex. */
  caFingerprint: z.string().regex(/^[0-9a-f]{64}$/),
});
export type JoinTokenPayload = z.infer<typeof joinTokenPayload>;
