import { XMLBuilder } from 'fast-xml-parser';
import type { DomainMark } from '../driver.ts';
import { parseXml, type XmlElement } from './xml.ts';

/** Namespace of our element in libvirt's metadata. */
export const MARK_URI = 'urn:weft:1';
export const MARK_PREFIX = 'weft';
/** The attribute of a mark whose guest waits for the word that it is this host's own. */
export const STANDS_STILL = 'standsStill';

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressEmptyNode: true,
});

/** The metadata element of a domain. libvirt adds the namespace's declaration. */
export function composeMark(mark: DomainMark): string {
  return builder.build({
    vm: {
      '@fleet': mark.fleet,
      '@id': mark.id,
      '@incarnation': mark.incarnation,
      '@kind': mark.kind,
      '@rebootGeneration': mark.rebootGeneration,
      ...(mark.standsStill ? { [`@${STANDS_STILL}`]: 'yes' } : {}),
    },
  });
}

/** Null for what is not exactly ours: a mark that cannot be read marks nothing. */
export function readMark(element: XmlElement | undefined): DomainMark | null {
  const fleet = element?.attribute('fleet');
  const id = element?.attribute('id');
  const kind = element?.attribute('kind');
  const incarnation = Number(element?.attribute('incarnation'));
  const rebootGeneration = Number(element?.attribute('rebootGeneration'));
  if (!fleet || !id || (kind !== 'instance' && kind !== 'machine')) return null;
  if (!Number.isInteger(incarnation) || !Number.isInteger(rebootGeneration)) return null;
  const standsStill = element?.attribute(STANDS_STILL) === 'yes';
  return { fleet, id, incarnation, kind, rebootGeneration, ...(standsStill ? { standsStill } : {}) };
}

export function readNetworkMark(xml: string): { fleet: string; id: string } | null {
  const element = parseXml(xml).child('network')?.child('metadata')?.child(`${MARK_PREFIX}:network`);
  const fleet = element?.attribute('fleet');
  const id = element?.attribute('id');
  return fleet && id ? { fleet, id } : null;
}
