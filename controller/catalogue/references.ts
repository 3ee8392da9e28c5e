import { WeftError } from '../../agent/kit/errors.ts';
import { DIGEST_PATTERN, NAME_PATTERN, VERSION_PATTERN } from '../../agent/kit/names.ts';
import type { ImageRecord } from '../model/records.ts';

export type ImageReference =
  | { readonly name: string; readonly tag: string }
  | { readonly name: string; readonly digest: string };

/** What the catalogue holds of images, as it is looked up. */
export interface ImageIndex {
  readonly images: readonly ImageRecord[];
  /** Image name → channel → version. */
  readonly channels: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** @throws WeftError `bad-request`. */
export function parseReference(text: string): ImageReference {
  const [, name, mark, rest] = /^([^:@]*)([:@])(.*)$/s.exec(text) ?? [];
  if (name !== undefined && rest !== undefined && NAME_PATTERN.test(name)) {
    if (mark === ':' && VERSION_PATTERN.test(rest)) return { name, tag: rest };
    if (mark === '@' && DIGEST_PATTERN.test(rest)) return { name, digest: rest };
  }
  throw new WeftError('bad-request', `${JSON.stringify(text.slice(0, 200))} names no image`, {
    remedy: 'Write name:version, name:channel or name@sha256:<64 hexadecimal digits>.',
  });
}

/** A version wins over a channel of the same name: versions never move. */
export function findImage(index: ImageIndex, reference: ImageReference): ImageRecord | null {
  const named = index.images.filter((image) => image.name === reference.name);
  if ('digest' in reference)
    return named.find((image) => image.goal.layers.at(-1)?.digest === reference.digest) ?? null;
  const byVersion = (version: string) => named.find((image) => image.version === version) ?? null;
  const channel = index.channels.get(reference.name)?.get(reference.tag);
  return byVersion(reference.tag) ?? (channel === undefined ? null : byVersion(channel));
}

/** @throws WeftError `not-found` with the names that exist. */
export function requireImage(index: ImageIndex, text: string): ImageRecord {
  const reference = parseReference(text);
  const image = findImage(index, reference);
  if (image !== null) return image;
  const tags = index.images.filter(({ name }) => name === reference.name).map(({ version }) => version);
  const channels = [...(index.channels.get(reference.name)?.keys() ?? [])];
  const names = [...new Set(index.images.map(({ name }) => name))].sort();
  const known = [...channels, ...tags].map((tag) => `${reference.name}:${tag}`);
  throw new WeftError('not-found', `there is no image ${text}`, {
    remedy:
      known.length > 0
        ? `There are: ${known.slice(0, 20).join(', ')}.`
        : names.length > 0
          ? `There are images of the names: ${names.slice(0, 20).join(', ')}.`
          : 'The catalogue is empty: run weft image build debian, or weft image import FILE.',
  });
}
