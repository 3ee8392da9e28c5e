import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentConfiguration } from '../configuration.ts';
import { EdgeKeeper, edgeFolders } from '../edge/keeper.ts';
import { PlacedAddresses } from '../edge/placed-addresses.ts';
import type { HttpsLink } from '../session/https-link.ts';
import type { Base } from './base.ts';

const PROGRAMS = ['haproxy', 'keepalived'];
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];

/** Names of the programs that this host lacks to serve the world. */
export async function missingForEdge(): Promise<readonly string[]> {
  const missing = await Promise.all(
    PROGRAMS.map(async (program) => ((await isInstalled(program)) ? [] : program)),
  );
  return missing.flat();
}

/** Whether this host has a program. */
export async function isInstalled(program: string): Promise<boolean> {
  const looks = FOLDERS.filter(Boolean).map((folder) => access(join(folder, program), constants.X_OK));
  return (await Promise.allSettled(looks)).some(({ status }) => status === 'fulfilled');
}

/** Whether this host is to be offered as one that serves the world: it is not told to be none, and lacks nothing. */
export const offersEdge = ({ labels }: AgentConfiguration, missing: readonly string[]): boolean =>
  labels.edge !== 'false' && missing.length === 0;

/** Addresses of the fleet that keepalived may have put on this host. */
export const sharedAddresses = ({ stateFolder }: AgentConfiguration): Promise<ReadonlySet<string>> =>
  new PlacedAddresses(edgeFolders(stateFolder).folder).addresses();

export interface EdgeParts {
  readonly missing: readonly string[];
  /** This host's address on the underlay; null: not known yet. */
  readonly ownAddress: () => string | null;
  readonly onChange: () => void;
  readonly link: Pick<HttpsLink, 'fetchCertificate'>;
}

/** Who serves the world from this host. */
export const createEdge = ({ configuration, clock, log }: Base, { link, ...parts }: EdgeParts): EdgeKeeper =>
  new EdgeKeeper({
    ...edgeFolders(configuration.stateFolder),
    ...parts,
    fetchCertificate: (name, digest, signal) => link.fetchCertificate(name, digest, signal),
    ...{ clock, log },
  });
