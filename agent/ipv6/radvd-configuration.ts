import { join } from 'node:path';
import type { ServerMark } from '../kit/own-server.ts';
import type { Subnet6 } from './subnets6.ts';

/** The most that an advertisement can say (RFC 4861, 6.2.1): so long a guest keeps its way out when nobody advertises any more. */
const LIFETIME_SECONDS = 9_000;

/** By what it is known. Its first process goes on as the user of Debian's package. @param folder of nothing else. */
export const radvdServer = (folder: string) =>
  ({ program: 'radvd', mark: join(folder, 'radvd.conf'), changesUser: true }) satisfies ServerMark;

/**
 * What radvd advertises on guests' bridges: this router, the prefix, and that addresses come by DHCPv6 alone. No guest makes one of the
 * prefix by itself. Bridges that are not there yet are waited for.
 */
export const composeRadvdConfiguration = (subnets: readonly Subnet6[]): string =>
  subnets
    .map(({ bridge, prefix, mtu }) =>
      [
        `interface ${bridge} {`,
        ' IgnoreIfMissing on;',
        ' AdvSendAdvert on;',
        ' AdvManagedFlag on;',
        ' AdvOtherConfigFlag off;',
        ` AdvDefaultLifetime ${LIFETIME_SECONDS};`,
        ...(mtu === null ? [] : [` AdvLinkMTU ${mtu};`]),
        ` prefix ${prefix} {`,
        '  AdvOnLink on;',
        '  AdvAutonomous off;',
        '  AdvValidLifetime infinity;',
        '  AdvPreferredLifetime infinity;',
        ' };',
        '};',
        '',
      ].join('\n'),
    )
    .join('');
