import { networkInterfaces } from 'node:os';
import { asPrefix, overlap } from '../agent/kit/addressing.ts';

/**
 * Addresses of the machine that the controller runs on, as they are now: by none of them may a guest reach it.
 * @param ranges prefixes of which none is told: those of the fleet's guests come and go where a host runs on that machine, and are closed as
 * a whole.
 */
export const ownAddresses = (ranges: readonly string[]): readonly string[] =>
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address }) => address)
    .filter((address) => !ranges.some((range) => overlap(range, asPrefix(address))));
