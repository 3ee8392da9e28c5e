/** What a recipe leaves in its work folder; paths are relative to it. */
export interface RecipeOutput {
  /** qcow2, compat 1.1. */
  readonly disk: string;
  /** An ELF or bzImage that `qemu -kernel` boots. */
  readonly kernel: string;
  readonly initrd: string;
}

/** How a built image is to be run; the rest of an image's goal are its blobs. */
export interface RecipeTraits {
  readonly architecture: 'x86_64';
  readonly commandLine: string;
  readonly disk: 'virtio';
  readonly nic: 'virtio';
  readonly seed: 'nocloud';
  readonly sshUser: string;
  readonly webServer: 'nginx' | 'busybox-httpd' | 'none';
}

export interface RecipeContext {
  /** An empty folder that only this build uses. */
  readonly workFolder: string;
  readonly onLine: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Makes one golden image from Debian packages of this machine's own apt sources. Needs root, no loop device. */
export interface Recipe {
  readonly name: string;
  readonly description: string;
  /** First part of the version, and a channel of its own: `12` of `12-1a2b3c4d`. */
  readonly series: string;
  readonly traits: RecipeTraits;
  /** Everything the output depends on: package versions and the recipe's own texts. Equal inputs are built once. */
  inputs(context: Omit<RecipeContext, 'workFolder'>): Promise<readonly string[]>;
  build(context: RecipeContext): Promise<RecipeOutput>;
}

/** A finished build in the cache; paths are absolute. */
export interface BuiltImage {
  readonly recipe: string;
  /** `<series>-<first 8 hex of the SHA-256 over the three files' digests>`. */
  readonly version: string;
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly traits: RecipeTraits;
}
