import type { Report } from '../../../agent/protocol/index.ts';
import type { HostRecord } from '../../../controller/model/index.ts';
import type { World } from '../../../controller/reconciler/world.ts';
import { FLEET } from './goal.ts';
import { aHello } from './host.ts';

/** A fabric of nothing but this host, which has said so. */
export function aWorldOfOne(host: HostRecord, said: Partial<Report>, connected = true): World {
  const none = new Map();
  const report: Report = {
    ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
    ...{ vms: [], blobs: [], strangers: [], leaving: [] },
    ...said,
  };
  const hello = aHello(host.name);
  return {
    fleet: { uuid: FLEET, epoch: 1, range: '10.128.0.0/10' },
    ...{ applications: none, vms: none, claims: none, networks: none, tombstones: none },
    ...{ incarnations: none, fencing: none, backups: none, images: none, listeningSinceMs: 0 },
    hosts: new Map([[host.name, host]]),
    live: new Map([
      [host.name, { connected, endedBecause: null, lastHeardMs: 1, hello, acknowledged: null, report }],
    ]),
  };
}
