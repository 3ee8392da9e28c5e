import type { PublishedEndpoint } from '../protocol/index.ts';
import type { CertificateSeen } from './certificates.ts';
import { type Listener, takenBy } from './listeners.ts';

export interface Surroundings {
  readonly certificates: ReadonlyMap<string, CertificateSeen>;
  readonly listeners: readonly Listener[];
  readonly isOurs: (listener: Listener) => boolean;
  /** Id → why nothing can listen at its port, whoever is not a listener. */
  readonly blocked: ReadonlyMap<string, string>;
}

export interface Choice {
  readonly served: readonly PublishedEndpoint[];
  /** Id → why it is not served. */
  readonly failed: ReadonlyMap<string, string>;
}

/** What of the goal's endpoints this host can serve. One that it cannot keeps no other from being served. Pure. */
export function chooseEndpoints(endpoints: readonly PublishedEndpoint[], around: Surroundings): Choice {
  const served: PublishedEndpoint[] = [];
  const failed = new Map<string, string>();
  /** Address and port → the endpoint that has it. */
  const places = new Map<string, string>();
  for (const endpoint of endpoints) {
    const { id, addresses, port } = endpoint;
    const other = addresses.map((address) => places.get(`${address} ${port}`)).find(Boolean);
    const problem =
      (other && `port ${port} of ${addresses.join(', ')} is that of ${other}`) ||
      certificateProblem(endpoint, around) ||
      takenBy(endpoint, around.listeners, around.isOurs) ||
      around.blocked.get(id);
    if (problem) {
      failed.set(id, problem);
      continue;
    }
    for (const address of addresses) places.set(`${address} ${port}`, id);
    served.push(endpoint);
  }
  return { served, failed };
}

function certificateProblem(
  { certificate }: PublishedEndpoint,
  { certificates }: Surroundings,
): string | null {
  if (certificate === undefined) return null;
  const seen = certificates.get(certificate);
  if (!seen) return `certificate ${certificate} has not been looked at`;
  return 'problem' in seen ? seen.problem : null;
}
