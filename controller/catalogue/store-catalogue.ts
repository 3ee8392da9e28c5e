import { createReadStream, mkdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { Clock } from '../../agent/kit/clock.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import { ExclusiveRunner } from '../../agent/kit/exclusive-runner.ts';
import { DIGEST_PATTERN } from '../../agent/kit/names.ts';
import type { BlobStore, StoredBlob } from '../../images/contract.ts';
import type { ImageLimits } from '../../images/formats/contract.ts';
import { inspectImage } from '../../images/formats/inspect.ts';
import { buildRecipe } from '../../images/recipes/build-recipe.ts';
import type { BuiltImage, Recipe } from '../../images/recipes/contract.ts';
import { RECIPES, recipeNamed } from '../../images/recipes/registry.ts';
import type { SecretsStore } from '../fleet/secrets-contract.ts';
import type { ImageRecord } from '../model/records.ts';
import type { Store } from '../store/contract.ts';
import type { BuildRequest, Catalogue, ImageListing, ImportRequest } from './contract.ts';
import { blobsOf, ImageRecords } from './image-records.ts';
import { checkImportRequest, checkNames } from './import-checks.ts';
import { importedGoal, prepareImport } from './import-image.ts';
import { JobRegistry } from './job-registry.ts';
import { type ImageIndex, requireImage } from './references.ts';

export interface CatalogueOptions {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly secrets: Pick<SecretsStore, 'putImageKey'>;
  readonly clock: Clock;
  /** For conversions; emptied now. Best on the blobs' file system. */
  readonly workFolder: string;
  /** Finished builds, shared by all controllers of this machine. */
  readonly recipeCache: string;
  readonly recipes?: readonly Recipe[];
  readonly limits?: ImageLimits;
}

/** Uploads that nothing refers to are kept so long, from when they came in or were last referred to: a client may be about to. */
const UPLOADS_KEPT_MS = 86_400_000;

/**
 * Images as records over blobs. Publishing and removing take turns, so that a blob is never removed between being found
 * present and being referred to.
 */
export class StoreCatalogue implements Catalogue {
  readonly jobs: JobRegistry;
  readonly #options: CatalogueOptions;
  readonly #records: ImageRecords;
  readonly #turns = new ExclusiveRunner();
  /** Conversions and builds are heavy: two at once. */
  readonly #work = new ExclusiveRunner(2);
  /** Uploads that imports under way are made from. */
  readonly #importing = new Set<ImportRequest>();

  constructor(options: CatalogueOptions) {
    this.#options = options;
    this.#records = new ImageRecords(options.store);
    this.jobs = new JobRegistry(options.clock);
    rmSync(options.workFolder, { recursive: true, force: true });
    mkdirSync(options.workFolder, { recursive: true });
  }

  /** Removes the files that a removal before a crash left. Call once at start. */
  recover(): Promise<void> {
    return this.#turns.run('publish', () => this.#collectGarbage());
  }

  /**
   * Removes what was uploaded and is referred to by no image, application or import: packages of applications that were refused, replaced
   * or deleted, uploads that were never imported. When each was last referred to is the time of its file, which a restart does not lose.
   * @returns the digests of what is gone.
   */
  collectUploads(): Promise<readonly string[]> {
    return this.#turns.run('publish', async () => {
      const { blobs, clock } = this.#options;
      const nowMs = clock.now();
      const all = await blobs.list();
      const inUse = new Set([...(await this.#referredTo()), ...[...this.#importing].flatMap(uploadsOf)]);
      const gone: string[] = [];
      for (const { digest } of all)
        if (inUse.has(digest)) await blobs.touch(digest, nowMs);
        else if (await blobs.removeOlder(digest, nowMs - UPLOADS_KEPT_MS)) gone.push(digest);
      return gone;
    });
  }

  /** Aborts running jobs and waits for them. */
  close(): Promise<void> {
    return this.jobs.close();
  }

  async list(): Promise<readonly ImageListing[]> {
    const index = await this.#records.index();
    return index.images.map((image) => listing(index, image));
  }

  async get(name: string, version: string): Promise<ImageListing> {
    const index = await this.#records.index();
    return listing(index, requireVersion(index, name, version));
  }

  async resolve(reference: string): Promise<ImageRecord> {
    return requireImage(await this.#records.index(), reference);
  }

  import(request: ImportRequest): string {
    try {
      checkImportRequest(request);
    } catch (error) {
      void this.#clearUploads(request).catch(() => undefined);
      throw error;
    }
    this.#importing.add(request);
    return this.jobs.start('image-import', null, (onLine, signal) =>
      this.#work
        .run(request.disk, () =>
          this.#import(request, onLine, signal).finally(() => this.#clearUploads(request)),
        )
        .finally(() => this.#importing.delete(request)),
    );
  }

  build(request: BuildRequest): string {
    const recipe = recipeNamed(request.recipe, this.#options.recipes ?? RECIPES);
    const name = request.name ?? recipe.name;
    checkNames(name, request.version, request.channel);
    const key = JSON.stringify([recipe.name, name, request.version, request.channel]);
    return this.jobs.start('image-build', key, (onLine, signal) =>
      this.#work.run(`recipe ${recipe.name}`, async () => {
        const built = await buildRecipe(recipe, { cacheFolder: this.#options.recipeCache, onLine, signal });
        return this.#publishBuilt(recipe, built, { ...request, name }, onLine);
      }),
    );
  }

  remove(name: string, version: string): Promise<void> {
    return this.#turns.run('publish', async () => {
      const index = await this.#records.index();
      const image = requireVersion(index, name, version);
      const users = await this.#records.users(index, image);
      if (users.length > 0)
        throw new WeftError('conflict', `${name}:${version} is used by ${users.slice(0, 10).join(', ')}`, {
          remedy: 'Apply a model that uses another version, or delete the application, then try again.',
          details: { users },
        });
      await this.#records.remove(index, image, blobsOf(image));
      await this.#collectGarbage();
    });
  }

  async #import(request: ImportRequest, onLine: (line: string) => void, signal: AbortSignal) {
    const { blobs, workFolder, secrets, limits } = this.#options;
    const context = { blobs, workFolder, onLine, signal, ...(limits === undefined ? {} : { limits }) };
    const prepared = await prepareImport(request, context);
    try {
      const sshKeySecret =
        request.sshPrivateKey === undefined ? null : await secrets.putImageKey(request.sshPrivateKey);
      await this.#turns.run('publish', async () => {
        const disk = await blobs.adopt(prepared.file);
        const record: ImageRecord = {
          name: request.name,
          version: request.version,
          goal: importedGoal(request, prepared, disk),
          virtualSizeBytes: prepared.virtualSizeBytes,
          sizeBytes: disk.sizeBytes,
          sourceFormat: prepared.sourceFormat,
          createdAtMs: this.#options.clock.now(),
          sshKeySecret,
        };
        await this.#publishOrClear(record, request.channel === undefined ? [] : [request.channel]);
      });
    } finally {
      await rm(prepared.file, { force: true });
    }
    onLine(`${request.name}:${request.version} is in the catalogue`);
    return { name: request.name, version: request.version };
  }

  async #publishBuilt(
    recipe: Recipe,
    built: BuiltImage,
    request: BuildRequest & { name: string },
    onLine: (line: string) => void,
  ) {
    const version = request.version ?? built.version;
    const channels = [request.channel ?? 'stable'];
    if (request.version === undefined && request.channel === undefined) channels.push(recipe.series);
    const { virtualSizeBytes } = await inspectImage(built.disk);
    await this.#turns.run('publish', async () => {
      const disk = await this.#copy(built.disk);
      const boot = { kernel: await this.#copy(built.kernel), initrd: await this.#copy(built.initrd) };
      const { commandLine, ...traits } = built.traits;
      const record: ImageRecord = {
        name: request.name,
        version,
        goal: {
          name: request.name,
          version,
          layers: [{ ...disk, virtualSizeBytes }],
          boot: { method: 'kernel', ...boot, commandLine },
          ...traits,
        },
        virtualSizeBytes,
        sizeBytes: disk.sizeBytes,
        sourceFormat: 'qcow2',
        createdAtMs: this.#options.clock.now(),
        sshKeySecret: null,
      };
      await this.#publishOrClear(record, channels);
    });
    onLine(`${request.name}:${version} is in the catalogue (${channels.join(', ')})`);
    return { name: request.name, version };
  }

  #copy(file: string): Promise<StoredBlob> {
    return this.#options.blobs.put(createReadStream(file, { highWaterMark: 1024 * 1024 }));
  }

  async #publishOrClear(record: ImageRecord, channels: readonly string[]): Promise<void> {
    try {
      await this.#records.publish(record, channels, this.#options.clock.now());
    } catch (error) {
      await this.#removeUnreferenced(blobsOf(record));
      throw error;
    }
  }

  /** What was uploaded is of no use any more, unless an image is made of these very bytes, or they are an application's package. */
  #clearUploads(request: ImportRequest): Promise<void> {
    return this.#turns.run('publish', () => this.#removeUnreferenced(uploadsOf(request)));
  }

  async #collectGarbage(): Promise<void> {
    for (const { key, digests } of await this.#records.garbage()) {
      await this.#removeUnreferenced(digests);
      await this.#records.clearGarbage(key);
    }
  }

  async #removeUnreferenced(digests: readonly string[]): Promise<void> {
    const inUse = await this.#referredTo();
    for (const digest of digests) if (!inUse.has(digest)) await this.#options.blobs.remove(digest);
  }

  /** By an image or an application: the same bytes may have come in as both. */
  async #referredTo(): Promise<ReadonlySet<string>> {
    const { images } = await this.#records.index();
    return new Set([...images.flatMap(blobsOf), ...(await this.#records.packages())]);
  }
}

const uploadsOf = ({ disk, kernel, initrd }: ImportRequest): readonly string[] =>
  [disk, kernel, initrd].filter(
    (digest): digest is string => digest !== undefined && DIGEST_PATTERN.test(digest),
  );

function listing(index: ImageIndex, image: ImageRecord): ImageListing {
  const channels = [...(index.channels.get(image.name) ?? [])]
    .filter(([, version]) => version === image.version)
    .map(([channel]) => channel);
  return { image, channels };
}

function requireVersion(index: ImageIndex, name: string, version: string): ImageRecord {
  const image = index.images.find((one) => one.name === name && one.version === version);
  return image ?? requireImage({ ...index, channels: new Map() }, `${name}:${version}`);
}
