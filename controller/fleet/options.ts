import type { Clock } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';
import type { BlobStore } from '../../images/contract.ts';
import type { CertificateFiles } from '../certificates/contract.ts';
import type { FleetRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import type { Authority } from './authority.ts';
import type { Leases } from './leases.ts';
import type { SecretsStore } from './secrets-contract.ts';
import type { Tokens } from './tokens.ts';

export interface FleetServerOptions {
  readonly fleet: FleetRecord;
  /** `host:port` that hosts dial; goes into join tokens. */
  readonly address: string;
  readonly authority: Authority;
  readonly tls: { readonly key: string; readonly certificate: string };
  readonly tokens: Tokens;
  readonly store: Store;
  readonly secrets: SecretsStore;
  readonly certificates: Pick<CertificateFiles, 'read'>;
  readonly blobs: BlobStore;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Logger;
}
