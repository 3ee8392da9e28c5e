/**
 * A path as it goes into a request: what a path of a URI may have stays, also what is percent-encoded already, and all else is encoded, so
 * that no blank, quote, hash, dollar or line end is left.
 */
export const requestPath = (path: string): string =>
  path.replaceAll(/[^A-Za-z0-9/_.~!&()*+,;=:@?%-]/gu, (character) =>
    [...new TextEncoder().encode(character)]
      .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`)
      .join(''),
  );
