import { networkInterfaces } from 'node:os';

/** Addresses of the machine that the controller runs on, as they are now: by none of them may a guest reach it. */
export const ownAddresses = (): readonly string[] =>
  Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
    .map(({ address }) => address);
