/** A command that a package installs: a small script that runs one of our programs with the package's own Node. */
export interface Program {
  /** Where the command goes, for example `usr/sbin/weft-agent`. */
  readonly command: string;
  /** Module of `dist/`, without its ending. */
  readonly entry: string;
  /** What it is, in a few words: of its manual page. */
  readonly summary: string;
  readonly nodeFlags: readonly string[];
  /** Left out when this build does not have the module. */
  readonly optional?: boolean;
}

/** A file that is installed as it is. */
export interface InstalledFile {
  readonly path: string;
  /** Relative to the repository. */
  readonly source: string;
  /** Left out when this checkout does not have the source. */
  readonly optional?: boolean;
  /** It is run as it is. */
  readonly isProgram?: boolean;
}

export type MaintainerScript = 'postinst' | 'prerm' | 'postrm';

/** One Debian package: what it is, what it needs, what it installs. Paths are relative to the root, without a leading slash. */
export interface PackageDescription {
  readonly name: string;
  /** Folder below `usr/lib/weft` that holds programs, modules and Node. */
  readonly folder: string;
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly depends: readonly string[];
  readonly recommends: readonly string[];
  readonly suggests: readonly string[];
  readonly programs: readonly Program[];
  readonly files: readonly InstalledFile[];
  /** Relative to the repository. */
  readonly scripts: Readonly<Partial<Record<MaintainerScript, string>>>;
}

/** Where one entry's content comes from. */
export type Content = { readonly file: string } | { readonly text: string } | { readonly bytes: Uint8Array };

export interface Entry {
  /** Relative to the package's root. */
  readonly path: string;
  readonly mode: 0o644 | 0o755;
  readonly content: Content;
}
