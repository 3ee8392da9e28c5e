import { WeftError } from '../../agent/kit/errors.ts';
import type { ApplicationRecord, ChannelRecord, ImageRecord, VmRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import type { ImageIndex } from './references.ts';
import { findImage, parseReference } from './references.ts';

const PREFIX = 'images/';
/** Digests that a removed image leaves behind, until their files are gone. */
const GARBAGE = 'image-garbage/';

/** The catalogue's documents in the store. */
export class ImageRecords {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async index(): Promise<ImageIndex> {
    const { entries } = await this.#store.list(PREFIX);
    const images: ImageRecord[] = [];
    const channels = new Map<string, Map<string, string>>();
    for (const { key, value } of entries) {
      const [, name = '', kind, leaf = ''] = key.split('/');
      if (kind === 'versions') images.push(value as ImageRecord);
      if (kind !== 'channels') continue;
      const ofName = channels.get(name) ?? new Map<string, string>();
      channels.set(name, ofName.set(leaf, (value as ChannelRecord).version));
    }
    return { images, channels };
  }

  /**
   * Writes the version and points the channels at it, in one transaction. The same content again only moves channels.
   * @throws WeftError `conflict` when the version exists with other content.
   */
  async publish(record: ImageRecord, channels: readonly string[], nowMs: number): Promise<void> {
    const key = versionKey(record.name, record.version);
    const pointers = channels.map((channel) => ({
      key: channelKey(record.name, channel),
      value: { version: record.version, movedAtMs: nowMs } satisfies ChannelRecord,
    }));
    const existing = await this.#store.get(key);
    if (existing !== null) {
      const found = existing.value as ImageRecord;
      if (JSON.stringify(found.goal) !== JSON.stringify(record.goal))
        throw new WeftError('conflict', `${record.name}:${record.version} exists with other content`, {
          remedy: 'A version never changes: give another one with --version.',
        });
    }
    const check = { key, revision: existing?.revision ?? 0 };
    const put = existing === null ? [{ key, value: record }] : [];
    const result = await this.#store.transact({ checks: [check], puts: [...put, ...pointers] });
    if (!result.committed)
      throw new WeftError('conflict', `${record.name}:${record.version} was changed at the same time`, {
        remedy: 'Try again.',
      });
  }

  /** Removes the version and its channels; notes the digests for {@link garbage} in the same transaction. */
  async remove(index: ImageIndex, image: ImageRecord, digests: readonly string[]): Promise<void> {
    const channels = [...(index.channels.get(image.name) ?? [])]
      .filter(([, version]) => version === image.version)
      .map(([channel]) => channelKey(image.name, channel));
    const puts =
      digests.length === 0 ? [] : [{ key: `${GARBAGE}${image.name}/${image.version}`, value: { digests } }];
    await this.#store.transact({ deletes: [versionKey(image.name, image.version), ...channels], puts });
  }

  async garbage(): Promise<readonly { key: string; digests: readonly string[] }[]> {
    const { entries } = await this.#store.list(GARBAGE);
    return entries.map(({ key, value }) => ({ key, digests: (value as { digests: string[] }).digests }));
  }

  async clearGarbage(key: string): Promise<void> {
    await this.#store.transact({ deletes: [key] });
  }

  /** Digests of the packages that applications run. */
  async packages(): Promise<readonly string[]> {
    const { entries } = await this.#store.list('apps/');
    return entries.flatMap(({ value }) => {
      const { service } = value as ApplicationRecord;
      const packages = [service.package, ...Object.values(service.roles).map((role) => role.package)];
      return packages.flatMap((one) => (one === null ? [] : [one.digest]));
    });
  }

  /** Applications whose model means this image now, and VMs that run on it. */
  async users(index: ImageIndex, image: ImageRecord): Promise<readonly string[]> {
    const [applications, vms] = await Promise.all([this.#store.list('apps/'), this.#store.list('vms/')]);
    const users = new Set<string>();
    for (const { value } of applications.entries) {
      const { name, service } = value as ApplicationRecord;
      const references = [...Object.values(service.roles), ...Object.values(service.machines)];
      if (references.some((one) => means(index, one.image, image))) users.add(name);
    }
    for (const { value } of vms.entries) {
      const { id, image: running } = value as VmRecord;
      if (running?.name === image.name && running.version === image.version) users.add(id);
    }
    return [...users].sort();
  }
}

/** Digests of all blobs that an image needs. */
export function blobsOf(image: ImageRecord): readonly string[] {
  const { layers, boot } = image.goal;
  const kernel = boot.method === 'kernel' ? [boot.kernel, boot.initrd] : [];
  return [...layers, ...kernel].flatMap((blob) => (blob === undefined ? [] : [blob.digest]));
}

function means(index: ImageIndex, reference: string, image: ImageRecord): boolean {
  try {
    return findImage(index, parseReference(reference)) === image;
  } catch {
    return false;
  }
}

function versionKey(name: string, version: string): string {
  return `${PREFIX}${name}/versions/${version}`;
}

function channelKey(name: string, channel: string): string {
  return `${PREFIX}${name}/channels/${channel}`;
}
