import type { ApplicationRecord } from '../model/records.ts';
import { publishedBy } from '../reconciler/edge-endpoints.ts';

/** Who wants a certificate. */
export interface CertificateUse {
  /** `crm/web/http`, sorted. */
  readonly endpoints: readonly string[];
  /** DNS names that it is to be for, of all of them, sorted. Empty: somebody else sees to it. */
  readonly names: readonly string[];
}

/** Name → who wants it, of all that endpoints name. Pure. */
export function usesOf(applications: Iterable<ApplicationRecord>): ReadonlyMap<string, CertificateUse> {
  const uses = new Map<string, { endpoints: string[]; names: Set<string> }>();
  for (const application of applications)
    for (const { owner, name, endpoint } of publishedBy(application)) {
      if (endpoint.certificate === undefined) continue;
      const use = uses.get(endpoint.certificate) ?? { endpoints: [], names: new Set() };
      uses.set(endpoint.certificate, use);
      use.endpoints.push(`${application.name}/${owner}/${name}`);
      // What is served until it is gone needs no other one.
      if (!application.deleting) for (const each of endpoint.certificateNames ?? []) use.names.add(each);
    }
  return new Map(
    [...uses].map(([certificate, { endpoints, names }]) => [
      certificate,
      { endpoints: endpoints.sort(), names: [...names].sort() },
    ]),
  );
}
