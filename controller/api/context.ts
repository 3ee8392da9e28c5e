import type { Clock } from '../../agent/kit/clock.ts';
import type { Logger } from '../../agent/kit/log.ts';
import type { BlobStore } from '../../images/contract.ts';
import type { Catalogue } from '../catalogue/contract.ts';
import type { Fleet } from '../fleet/contract.ts';
import type { SecretsStore } from '../fleet/secrets-contract.ts';
import type { Tokens } from '../fleet/tokens.ts';
import type { FleetRecord } from '../model/records.ts';
import type { CertificateOperations } from '../operations/certificates.ts';
import type { ChallengeOperations } from '../operations/challenges.ts';
import type { Operations } from '../operations/contract.ts';
import type { Store } from '../store/contract.ts';

/** What the API's resources work with. */
export interface ApiContext {
  /** As it is now. */
  readonly fleetRecord: () => FleetRecord;
  readonly version: string;
  readonly store: Store;
  readonly operations: Operations;
  readonly certificates: CertificateOperations;
  readonly challenges: ChallengeOperations;
  readonly catalogue: Catalogue;
  readonly fleet: Fleet;
  readonly secrets: SecretsStore;
  readonly tokens: Tokens;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Logger;
}
