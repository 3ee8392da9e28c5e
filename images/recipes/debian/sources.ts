import { apt } from '../apt.ts';

const SUITE = 'bookworm';
const FALLBACK = [
  'deb http://deb.debian.org/debian bookworm main',
  'deb http://deb.debian.org/debian bookworm-updates main',
  'deb http://deb.debian.org/debian-security bookworm-security main',
];
const FORMAT = ['$(REPO_URI)', '$(CODENAME)', '$(COMPONENT)', '$(ORIGIN)'].join('|');

/**
 * Lines of sources.list with the Debian 12 archives that this machine itself uses, else Debian's own servers.
 * @param say is told when another apt has to be waited for.
 */
export async function debianSources(say: (line: string) => void): Promise<readonly string[]> {
  const { stdout } = await apt('apt-get', ['indextargets', '--format', FORMAT, 'Created-By: Packages'], {
    timeoutMs: 60_000,
    env: { LC_ALL: 'C' },
    okExitCodes: [0, 100],
    say,
  });
  const lines = parseIndexTargets(stdout);
  return lines.some((line) => line.includes(` ${SUITE} `)) ? lines : FALLBACK;
}

/** Lines `uri|codename|component|origin` → `deb uri codename component`, Debian 12's only, each once. */
export function parseIndexTargets(output: string): readonly string[] {
  const lines = output.split('\n').flatMap((line) => {
    const [uri, codename, component, origin] = line.split('|');
    const isOurs = origin === 'Debian' && (codename === SUITE || codename?.startsWith(`${SUITE}-`));
    return isOurs ? [`deb ${uri} ${codename} ${component}`] : [];
  });
  return [...new Set(lines)];
}
