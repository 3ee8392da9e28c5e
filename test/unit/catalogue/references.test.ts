import { describe, expect, it } from 'vitest';
import { parseReference, requireImage } from '../../../controller/catalogue/references.ts';
import { anImage } from './builders.ts';

describe('a reference to an image', () => {
  const old = anImage({ version: '12-aaaa' });
  const current = anImage({ version: '12-bbbb' });
  const index = {
    images: [old, current],
    channels: new Map([['debian', new Map([['stable', '12-bbbb']])]]),
  };

  it('may be a version', () => expect(requireImage(index, 'debian:12-aaaa')).toBe(old));
  it('may be a channel', () => expect(requireImage(index, 'debian:stable')).toBe(current));
  it('may be the digest of the top layer', () => {
    expect(requireImage(index, `debian@${old.goal.layers[0]?.digest}`)).toBe(old);
  });
  it('means the version when a channel has the same name', () => {
    const both = { ...index, channels: new Map([['debian', new Map([['12-aaaa', '12-bbbb']])]]) };
    expect(requireImage(both, 'debian:12-aaaa')).toBe(old);
  });

  it('that is unknown is answered with what there is', () => {
    expect(() => requireImage(index, 'debian:edge')).toThrow(
      expect.objectContaining({ code: 'not-found', remedy: expect.stringContaining('debian:stable') }),
    );
    expect(() => requireImage(index, 'ubuntu:22')).toThrow(
      expect.objectContaining({ code: 'not-found', remedy: expect.stringContaining('debian') }),
    );
    expect(() => requireImage({ images: [], channels: new Map() }, 'debian:12')).toThrow(
      expect.objectContaining({ remedy: expect.stringContaining('weft image build') }),
    );
  });

  it.each([
    '',
    'debian',
    'debian:',
    ':12',
    'Debian:12',
    'a/b:12',
    'debian:../x',
    'debian@sha256:12',
    'debian:1\n2',
  ])('is refused as %j', (text) => {
    expect(() => parseReference(text)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});
