import type { ApplicationRecord, CertificateRecord, HostRecord, VmRecord } from '../model/records.ts';
import type { ApiContext } from './context.ts';
import { type EndpointRow, endpointRows, lateCertificates } from './endpoint-rows.ts';

/** What an application publishes, and how that goes at this moment. */
export async function endpointsNow(
  { store, fleet, clock, fleetRecord }: Pick<ApiContext, 'store' | 'fleet' | 'clock' | 'fleetRecord'>,
  application: ApplicationRecord,
): Promise<EndpointRow[]> {
  const all = async <T>(prefix: string) => (await store.list(prefix)).entries.map(({ value }) => value as T);
  const [hosts, vms, certificates, applications] = await Promise.all([
    all<HostRecord>('hosts/'),
    all<VmRecord>(`vms/${application.name}/`),
    all<CertificateRecord>('certificates/'),
    all<ApplicationRecord>('apps/'),
  ]);
  const late = lateCertificates(certificates, applications, clock.now());
  const hasPublic = (fleetRecord().public ?? []).length > 0;
  return endpointRows(application, hosts, vms, fleet.hosts(), { late, hasPublic });
}
