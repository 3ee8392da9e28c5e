import { join, resolve } from 'node:path';
import { WeftError } from '../../agent/kit/errors.ts';
import { NAME_PATTERN } from '../../agent/kit/names.ts';

export const REPOSITORY = resolve(import.meta.dirname, '../..');
/** Environment variable: a folder in which each lab of one run of tests is noted while it is up. */
export const LABS_OF_RUN = 'WEFT_LABS_OF_RUN';
const LABS_FOLDER = process.env.WEFT_LABS ?? '/var/tmp/weft-labs';

/** Where a lab's things are. Everything of a lab carries its name or its number, so that several stand side by side. */
export interface Layout {
  readonly name: string;
  readonly folder: string;
  readonly stateFile: string;
  readonly controllerState: string;
  readonly clientConfig: string;
}

export function layoutOf(name: string): Layout {
  if (!NAME_PATTERN.test(name) || name.length > 20) {
    throw new WeftError('usage', `"${name}" is no name for a lab`, {
      remedy: 'Use up to 20 lower-case letters, digits and dashes, starting with a letter.',
    });
  }
  const folder = join(LABS_FOLDER, name);
  return {
    name,
    folder,
    stateFile: join(folder, 'lab.json'),
    controllerState: join(folder, 'controller'),
    clientConfig: join(folder, 'config.yaml'),
  };
}

export function labsFolder(): string {
  return LABS_FOLDER;
}

/** The file system program through which hosts mount shared pools that forget; absent in other labs. */
export const forgetfulOf = (layout: Layout) => join(layout.folder, 'forgetful');
export const namespaceName = (lab: string, host: string) => `weft-${lab}-${host}`;
export const bridgeName = (number: number) => `wlab${number}`;
/** The near end of a host's link, on the lab's bridge; at most 15 characters. */
export const linkName = (number: number, hostNumber: number) => `wl${number}h${hostNumber}`;
export const controllerAddress = (number: number) => `10.77.${number}.1`;
/** Addresses of the lab's own network that no host has, for the controller to give to applications. */
export const publicRange = (number: number, count: number) =>
  `10.77.${number}.200-10.77.${number}.${199 + count}/24`;
export const hostAddress = (number: number, hostNumber: number) => `10.77.${number}.${10 + hostNumber}`;
/** Below the prefix of documentation (RFC 3849). */
const network6Of = (number: number) => `2001:db8:77:${number.toString(16)}`;
export const controllerAddress6 = (number: number) => `${network6Of(number)}::1`;
export const hostAddress6 = (number: number, hostNumber: number) =>
  `${network6Of(number)}::${10 + hostNumber}`;
export const publicRange6 = (number: number, count: number) =>
  `${network6Of(number)}::200-${network6Of(number)}::${(0x1ff + count).toString(16)}/64`;
