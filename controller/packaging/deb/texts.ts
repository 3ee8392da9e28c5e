import type { PackageDescription } from './contract.ts';

export interface Release {
  /** Of package.json, for example `0.1.0` or `1.0.0-rc.1`. */
  readonly version: string;
  /** `amd64` or `arm64`. */
  readonly architecture: string;
  /** Time of all files, in seconds since 1970: equal inputs give equal packages. */
  readonly epochSeconds: number;
  /** Whoever builds it, `Name <address>`. */
  readonly maintainer: string;
}

/** Of a build whose maker says nothing. */
export const MAINTAINER = 'The Weft project <weft@localhost>';
const LINE_LENGTH = 78;

/** Debian orders a pre-release before its release by `~`. */
export const debianVersion = (version: string): string => version.replace('-', '~');

/** The `control` file. @param libraries what the native files need besides the description's own list. */
export function controlText(
  description: PackageDescription,
  release: Release,
  libraries: readonly string[],
  installedBytes: number,
): string {
  const lists = {
    Depends: [...libraries, ...description.depends],
    Recommends: description.recommends,
    Suggests: description.suggests,
  };
  return [
    `Package: ${description.name}`,
    `Version: ${debianVersion(release.version)}`,
    'Section: admin',
    'Priority: optional',
    `Architecture: ${release.architecture}`,
    `Maintainer: ${release.maintainer}`,
    `Installed-Size: ${Math.ceil(installedBytes / 1024)}`,
    ...Object.entries(lists).flatMap(([field, names]) =>
      names.length > 0 ? [`${field}: ${names.join(', ')}`] : [],
    ),
    `Description: ${description.summary}`,
    ...description.description.flatMap((paragraph, index) => [
      ...(index > 0 ? [' .'] : []),
      ...folded(paragraph).map((line) => ` ${line}`),
    ]),
    '',
  ].join('\n');
}

function folded(paragraph: string): readonly string[] {
  const lines: string[] = [];
  for (const word of paragraph.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= LINE_LENGTH)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

export function copyrightText({ folder }: PackageDescription): string {
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Weft
Comment: Node.js and the modules of npm in /usr/lib/weft/${folder} have licences
 of their own: beside each module, and in LICENSE.node in this folder.

Files: *
Copyright: 2026 The Weft authors
License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
`;
}

export function changelogText({ name }: PackageDescription, release: Release): string {
  const { version, epochSeconds, maintainer } = release;
  const date = new Date(epochSeconds * 1_000).toUTCString().replace('GMT', '+0000');
  return `${name} (${debianVersion(version)}) unstable; urgency=medium

  * See CHANGELOG.md of the project.

 -- ${maintainer}  ${date}
`;
}

/**
 * A manual page that shows what a command says of itself.
 * @param section `1` of users' commands, `8` of the system's.
 * @param help what it prints for `--help`.
 */
export function manualText(
  command: string,
  section: '1' | '8',
  summary: string,
  help: string,
  { version, epochSeconds }: Release,
): string {
  const date = new Date(epochSeconds * 1_000).toISOString().slice(0, 10);
  return [
    `.TH ${command.toUpperCase()} ${section} "${date}" "Weft ${version}"`,
    '.SH NAME',
    roff(`${command} - ${summary}`),
    '.SH DESCRIPTION',
    '.nf',
    ...help.trimEnd().split('\n').map(roff),
    '.fi',
    '',
  ].join('\n');
}

/** A dot or a quote at the beginning of a line, and each backslash, would be a command. */
const roff = (line: string): string =>
  line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/, '\\&');
