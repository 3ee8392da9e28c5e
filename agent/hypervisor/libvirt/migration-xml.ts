import { WeftError } from '../../kit/errors.ts';
import type { MigrationFiles } from '../../protocol/index.ts';

const MARK = /(<weft:vm\b[^>]*\sincarnation=)(["'])\d+\2/g;
const FILE = /(\sfile=)(["'])([^"']*)\2/g;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
const escapeText = (text: string) => text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);

/**
 * A domain's description as the host that it goes to is to have it: everything that the guest sees stays as it is, to the last
 * address of a device; its mark and the places of its files are that host's.
 * @param xml libvirt's own, which carries one mark of ours.
 */
export function describeThere(
  xml: string,
  incarnation: number,
  from: MigrationFiles,
  to: MigrationFiles,
): string {
  let marks = 0;
  const marked = xml.replace(MARK, (_all, before: string, quote: string) => {
    marks++;
    return `${before}${quote}${incarnation}${quote}`;
  });
  if (marks !== 1) throw new WeftError('internal', 'a domain of ours carries one mark');
  const places = new Map<string, string>([
    [escapeText(from.disk), to.disk],
    [escapeText(from.console), to.console],
    ...(from.seed !== null && to.seed !== null ? [[escapeText(from.seed), to.seed] as const] : []),
  ]);
  return marked.replace(FILE, (all, before: string, quote: string, path: string) => {
    const place = places.get(path);
    return place === undefined ? all : `${before}${quote}${escapeText(place)}${quote}`;
  });
}
