import { uncovered } from '../model/dns-names.ts';
import type { ApplicationRecord, CertificateRecord } from '../model/records.ts';
import { answersChallenges, challengePort } from '../reconciler/edge-challenges.ts';
import { NOTHING, renewalMs, whyWanted } from './due.ts';
import { problemsAt, type ServedBy, type ServingHost, servedBy } from './served.ts';
import { type CertificateUse, usesOf } from './uses.ts';

/** A row of `weft certificate ls`. */
export interface CertificateRow {
  readonly name: string;
  /** Null: the controller has none; edge hosts use their own, where they have one. */
  readonly kept: CertificateRecord['kept'];
  /** Endpoints that name it. */
  readonly endpoints: readonly string[];
  /** DNS names that they want it to be for; empty: somebody puts it there. */
  readonly wanted: readonly string[];
  /** From when on the hook replaces it; null: it does not. */
  readonly renewalMs: number | null;
  readonly attempt: CertificateRecord['attempt'];
  /** How each edge host has it; empty: no endpoint names it. */
  readonly hosts: ServedBy;
  /** What an operator should know. */
  readonly notes: readonly string[];
}

const UNUSED: CertificateUse = { endpoints: [], names: [] };

interface RowOptions {
  /** This controller has one. */
  readonly hasHook: boolean;
  readonly nowMs: number;
  readonly edges: readonly ServingHost[];
}

/** All certificates that are kept, or named by an endpoint. Pure. */
export function certificateRows(
  records: readonly CertificateRecord[],
  applications: readonly ApplicationRecord[],
  { hasHook, nowMs, edges }: RowOptions,
): readonly CertificateRow[] {
  const known = new Map(records.map((record) => [record.name, record]));
  const uses = usesOf(applications);
  const names = new Set([...known.keys(), ...uses.keys()]);
  return [...names].sort().map((name) => {
    const record: CertificateRecord = { ...NOTHING, ...known.get(name), name };
    const { kept, attempt = null } = record;
    const use = uses.get(name) ?? UNUSED;
    const isHooks = hasHook && use.names.length > 0;
    return {
      name,
      kept,
      ...{ endpoints: use.endpoints, wanted: use.names },
      renewalMs: kept && isHooks ? renewalMs(kept) : null,
      attempt: isHooks && whyWanted(record, use, nowMs) !== null ? attempt : null,
      hosts: use.endpoints.length === 0 ? [] : servedBy(edges, name, kept?.digest ?? null),
      notes: [
        ...ownNotes(record, use, nowMs),
        ...hookNotes(record, use, { hasHook, nowMs }),
        ...(isHooks ? challengeNotes(use, applications) : []),
        ...problemsAt(edges, name),
      ],
    };
  });
}

/** Why an endpoint's certificate is not there, or not as it should be, where the hook has failed to obtain it; null: it has not. Pure. */
export function attemptText(record: CertificateRecord, use: CertificateUse, nowMs: number): string | null {
  const { name, attempt } = record;
  if (!attempt || whyWanted(record, use, nowMs) === null) return null;
  return `certificate ${name} could not be obtained (${attempt.failures} in a row): ${attempt.message}; it is tried again at ${momentOf(attempt.nextAtMs)}`;
}

const howToPut = (name: string) => `Put it there with: weft certificate put ${name} --file FILE`;

function ownNotes(
  { name, kept }: CertificateRecord,
  { endpoints, names }: CertificateUse,
  nowMs: number,
): readonly string[] {
  if (!kept)
    return endpoints.length === 0
      ? []
      : [
          `the controller has none: edge hosts use those in their own folders, where they have one${names.length === 0 ? `. ${howToPut(name)}` : ''}`,
        ];
  const missing = uncovered(names, kept.names);
  return [
    ...(kept.notAfterMs <= nowMs ? ['it has expired'] : []),
    ...(missing.length > 0 ? [`it is not for ${missing.join(', ')}`] : []),
  ];
}

function hookNotes(
  record: CertificateRecord,
  use: CertificateUse,
  { hasHook, nowMs }: { readonly hasHook: boolean; readonly nowMs: number },
): readonly string[] {
  if (whyWanted(record, use, nowMs) === null) return [];
  if (!hasHook)
    return [`nobody obtains it: weft-controller has no --certificate-hook. ${howToPut(record.name)}`];
  return [attemptText(record, use, nowMs) ?? 'the hook is obtaining it'];
}

/** HTTP-01 comes to port 80 of where the endpoint is. */
function challengeNotes(
  { endpoints }: CertificateUse,
  applications: readonly ApplicationRecord[],
): readonly string[] {
  const deaf = new Set(
    endpoints.filter((id) => {
      const [app, owner] = id.split('/');
      const application = applications.find(({ name }) => name === app);
      return application && !answersChallenges(application, owner ?? '');
    }),
  );
  return [...deaf].map(
    (id) =>
      `HTTP-01 is not answered where ${id} is: there is no http endpoint without a certificate at port ${challengePort}`,
  );
}

const momentOf = (timeMs: number): string =>
  `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
