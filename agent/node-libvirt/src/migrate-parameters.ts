import type { TypedParameterInput } from './typed-parameters.ts';

/** Parameters of `virDomainMigrateToURI3` that may be absent. */
export interface MigrateParameters {
  /** Where QEMU itself connects to, for example `tcp://10.0.0.2`. */
  readonly migrationUri?: string;
  readonly destinationName?: string;
  readonly destinationXml?: string;
  readonly persistentXml?: string;
  readonly bandwidthMiBps?: bigint;
  readonly listenAddress?: string;
  readonly disksPort?: number;
  /** Where QEMU connects to for copying disks: `unix:///path`, or `tcp://…`. Not together with `disksPort`. */
  readonly disksUri?: string;
  /** Targets of the disks to copy with NON_SHARED_DISK or NON_SHARED_INC. */
  readonly migrateDisks?: readonly string[];
  readonly parallelConnections?: number;
  readonly tlsDestination?: string;
}

/** The names are `VIR_MIGRATE_PARAM_*`. */
export function migrateParameters(parameters: MigrateParameters): readonly TypedParameterInput[] {
  const typed: TypedParameterInput[] = [];
  const text = (name: string, value: string | undefined) => {
    if (value !== undefined) typed.push([name, 'string', value]);
  };
  const integer = (name: string, value: number | undefined) => {
    if (value !== undefined) typed.push([name, 'int', value]);
  };
  text('migrate_uri', parameters.migrationUri);
  text('destination_name', parameters.destinationName);
  text('destination_xml', parameters.destinationXml);
  text('persistent_xml', parameters.persistentXml);
  text('listen_address', parameters.listenAddress);
  text('disks_uri', parameters.disksUri);
  text('tls.destination', parameters.tlsDestination);
  integer('disks_port', parameters.disksPort);
  integer('parallel.connections', parameters.parallelConnections);
  if (parameters.bandwidthMiBps !== undefined) typed.push(['bandwidth', 'ullong', parameters.bandwidthMiBps]);
  for (const disk of parameters.migrateDisks ?? []) text('migrate_disks', disk);
  return typed;
}
