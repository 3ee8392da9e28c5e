import { WeftError } from '../../kit/errors.ts';
import type { MigrationOrder } from '../migration-driver.ts';
import { STANDS_STILL } from './mark.ts';

const MARK = /(<weft:vm)(\b[^>]*\sincarnation=)(["'])\d+\3/g;
const FILE = /(\sfile=)(["'])([^"']*)\2/g;
const USER = /(<auth\b[^>]*\susername=)(["'])[^"']*\2/g;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};
const escapeText = (text: string) => text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);

/** What of an order is in the description. */
export type Description = Pick<MigrationOrder, 'from' | 'to' | 'standsStill'> & {
  readonly incarnation: number;
};

/**
 * A domain's description as the host that it goes to is to have it: everything that the guest sees stays as it is, to the last
 * address of a device; its mark, the places of its files and how Ceph is reached are that host's. libvirt's secret with Ceph's key has one
 * UUID in the whole fleet.
 * @param xml libvirt's own, which carries one mark of ours.
 */
export function describeThere(xml: string, { incarnation, from, to, standsStill }: Description): string {
  let marks = 0;
  const marked = xml.replace(MARK, (_all, open: string, before: string, quote: string) => {
    marks++;
    const waits = standsStill && !before.includes(STANDS_STILL) ? ` ${STANDS_STILL}="yes"` : '';
    return `${open}${waits}${before}${quote}${incarnation}${quote}`;
  });
  if (marks !== 1) throw new WeftError('internal', 'a domain of ours carries one mark');
  const places = new Map<string, string>([
    [escapeText(from.disk), to.disk],
    [escapeText(from.console), to.console],
    ...(from.seed !== null && to.seed !== null ? [[escapeText(from.seed), to.seed] as const] : []),
    ...(from.ceph && to.ceph ? [[escapeText(from.ceph.conf), to.ceph.conf] as const] : []),
  ]);
  const placed = marked.replace(FILE, (all, before: string, quote: string, path: string) => {
    const place = places.get(path);
    return place === undefined ? all : `${before}${quote}${escapeText(place)}${quote}`;
  });
  const { ceph } = to;
  if (!ceph) return placed;
  return placed.replace(
    USER,
    (_all, before: string, quote: string) => `${before}${quote}${escapeText(ceph.user)}${quote}`,
  );
}
