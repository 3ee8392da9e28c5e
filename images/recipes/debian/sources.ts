import { exec } from '../../../agent/kit/exec.ts';

const SUITE = 'bookworm';
const FALLBACK = [
  'deb http://deb.debian.org/debian bookworm main',
  'deb http://deb.debian.org/debian bookworm-updates main',
  'deb http://deb.debian.org/debian-security bookworm-security main',
];
const FORMAT = ['$(REPO_URI)', '$(CODENAME)', '$(COMPONENT)', '$(ORIGIN)'].join('|');

/** Lines of sources.list with the Debian 12 archives that this machine itself uses, else Debian's own servers. */
export async function debianSources(): Promise<readonly string[]> {
  const { stdout } = await exec('apt-get', ['indextargets', '--format', FORMAT, 'Created-By: Packages'], {
    timeoutMs: 60_000,
    env: { LC_ALL: 'C' },
    okExitCodes: [0, 100],
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
