import { macOf } from '../../kit/addressing.ts';
import type { NetworkSpec, NetworkView } from '../driver.ts';
import { MARK_PREFIX, MARK_URI, readNetworkMark } from './mark.ts';
import { composeXml, parseXml } from './xml.ts';

type Lease = NetworkSpec['leases'][number];
/** Of dnsmasq: it has nobody to ask but those that it is given for a domain. */
const NAMES_ONLY = 'no-resolv';
/** Options for libvirt's dnsmasq itself: https://libvirt.org/formatnetwork.html#network-namespaces */
const DNSMASQ = 'http://libvirt.org/schemas/network/dnsmasq/1.0';

/** A bridge of ours with exactly the given addresses. Format: https://libvirt.org/formatnetwork.html */
export function composeNetworkXml(spec: NetworkSpec): string {
  return composeXml({
    network: {
      name: spec.name,
      metadata: {
        [`${MARK_PREFIX}:network`]: {
          [`@xmlns:${MARK_PREFIX}`]: MARK_URI,
          '@fleet': spec.mark.fleet,
          '@id': spec.mark.id,
        },
      },
      // Our own table has the rules; libvirt writes none.
      forward: { '@mode': 'open' },
      bridge: { '@name': spec.bridge, '@stp': 'off', '@delay': 0 },
      // The same on every host: a guest that comes here while it runs finds its gateway where it knows it to be.
      mac: { '@address': macOf(spec.gateway) },
      ...(spec.resolver && {
        dns: { forwarder: { '@domain': spec.resolver.zone, '@addr': spec.resolver.address } },
      }),
      ip: {
        '@address': spec.gateway,
        '@prefix': spec.prefix,
        dhcp: spec.leases.length === 0 ? undefined : { host: spec.leases.map(hostOf) },
      },
      'dnsmasq:options': {
        '@xmlns:dnsmasq': DNSMASQ,
        'dnsmasq:option': [
          // What the host calls others in /etc/hosts is nothing for guests.
          { '@value': 'no-hosts' },
          // Without others to ask it refuses what is of no domain that it knows.
          ...(spec.namesOnly ? [{ '@value': NAMES_ONLY }] : []),
        ],
      },
    },
  });
}

const hostOf = (lease: Lease) => ({ '@mac': lease.mac, '@name': lease.hostname, '@ip': lease.address });

/** One reservation, as `virNetworkUpdate` takes it. */
export const composeLeaseXml = (lease: Lease): string => composeXml({ host: hostOf(lease) });

export function readNetworkXml(name: string, xml: string, active: boolean): NetworkView {
  const network = parseXml(xml).child('network');
  const hosts = network?.children('ip').flatMap((ip) => ip.child('dhcp')?.children('host') ?? []) ?? [];
  const forwarder = network?.child('dns')?.child('forwarder');
  const options = network?.child('dnsmasq:options')?.children('dnsmasq:option') ?? [];
  const namesOnly = options.some((option) => option.attribute('value') === NAMES_ONLY);
  const [zone, address] = [forwarder?.attribute('domain'), forwarder?.attribute('addr')];
  return {
    name,
    mark: readNetworkMark(xml),
    active,
    bridge: network?.child('bridge')?.attribute('name') ?? null,
    leases: hosts.map((host) => ({
      mac: host.attribute('mac') ?? '',
      address: host.attribute('ip') ?? '',
      hostname: host.attribute('name') ?? '',
    })),
    ...(zone && address ? { resolver: { zone, address } } : {}),
    ...(namesOnly ? { namesOnly } : {}),
  };
}
