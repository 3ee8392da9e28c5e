/** A host's key and certificate, and the fleet's CA. PEM. */
export interface LineIdentity {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Both ends are of this project, and what they carry is a whole memory: one cipher, the one that processors do fastest. */
export const LINE_TLS = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' } as const;
