import ssh2 from 'ssh2';

export interface SshKeyPair {
  /** OpenSSH's private key file, not encrypted. */
  readonly private: string;
  /** One line: type, base64, comment. */
  readonly public: string;
}

/** Length, `ssh-ed25519`, length, 32 bytes: RFC 8709, section 4. */
const PUBLIC_BLOB_BYTES = 51;

/**
 * A new Ed25519 key pair in OpenSSH's formats. ssh2 1.17 drops a leading zero byte of the public key, which no server takes: one key in 256 is made
 * anew here.
 * @param generate makes a pair; for tests.
 */
export function makeSshKeyPair(
  comment: string,
  generate: (comment: string) => SshKeyPair = (text) =>
    ssh2.utils.generateKeyPairSync('ed25519', { comment: text }),
): SshKeyPair {
  for (;;) {
    const pair = generate(comment);
    const blob = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64');
    if (blob.length === PUBLIC_BLOB_BYTES) return pair;
  }
}
