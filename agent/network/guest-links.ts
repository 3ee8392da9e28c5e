import { readFile } from 'node:fs/promises';
import { fleetPrefix } from './names.ts';

const DEVICES = '/proc/net/dev';

/** Whether interfaces or bridges of the fleet's guests are here: they may outlive what the goal knows of. What cannot be read has some. */
export async function hasGuestLinks(fleet: string): Promise<boolean> {
  const text = await readFile(DEVICES, 'utf8').catch(() => null);
  return text === null || new RegExp(`^\\s*w[bt]${fleetPrefix(fleet)}-`, 'm').test(text);
}
