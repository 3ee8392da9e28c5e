import ssh2 from 'ssh2';
import { describe, expect, test } from 'vitest';
import { makeSshKeyPair, type SshKeyPair } from '../../../agent/kit/ssh-keys.ts';

/** The base64 body of an OpenSSH private key file. */
const bodyOf = (pair: SshKeyPair) =>
  Buffer.from(
    pair.private
      .split('\n')
      .filter((line) => !line.startsWith('-'))
      .join(''),
    'base64',
  );

describe('an SSH key pair', () => {
  test('is whole, whatever its bytes are: 1,000 of them', () => {
    for (let count = 0; count < 1_000; count++) {
      const pair = makeSshKeyPair('weft');
      const blob = Buffer.from(pair.public.split(' ')[1] ?? '', 'base64');
      expect(blob).toHaveLength(51);
      // Fixed offsets of an unencrypted key: the private part ends in the public key's 32 bytes.
      expect(bodyOf(pair).subarray(193, 225)).toEqual(blob.subarray(-32));
      const parsed = ssh2.utils.parseKey(pair.private);
      if (parsed instanceof Error) throw parsed;
      expect(parsed.getPublicSSH()).toEqual(blob);
    }
  });

  test('is made anew when its public key has lost a leading zero', () => {
    const whole = makeSshKeyPair('weft');
    const short = Buffer.alloc(50).toString('base64');
    const made = [{ private: 'broken', public: `ssh-ed25519 ${short} weft` }, whole];
    expect(makeSshKeyPair('weft', () => made.shift() ?? whole)).toBe(whole);
  });
});
