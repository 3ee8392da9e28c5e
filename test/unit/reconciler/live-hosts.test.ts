import { describe, expect, test } from 'vitest';
import type { Report } from '../../../agent/protocol/index.ts';
import type { HostLink } from '../../../controller/fleet/contract.ts';
import { LiveHosts, telling } from '../../../controller/reconciler/live-hosts.ts';
import type { LiveHost } from '../../../controller/reconciler/world.ts';

const aReport = (leaving: string[] = []): Report => ({
  ...{ type: 'report', sequence: 1, atMs: 1, bootId: 'boot-1', revisionSeen: 1 },
  ...{ vms: [], blobs: [], strangers: [], leaving },
});
const aLink = (name: string, overrides: Partial<HostLink> = {}): HostLink => ({
  ...{ name, connected: true, lastHeardMs: 1, endedBecause: null, hello: null, report: aReport() },
  ...overrides,
});
const nothing = () => null;
const somethingLeaves = ({ connected, report }: LiveHost) => connected && (report?.leaving.length ?? 0) > 0;

describe('hosts as they are heard', () => {
  test('are the same objects for as long as nothing of them changes', () => {
    const hosts = new LiveHosts();
    const links = ['h1', 'h2'].map((name) => aLink(name));
    const before = hosts.of(links, nothing, []).get('h1');
    const now = hosts.of([links[0] as HostLink, aLink('h2', { lastHeardMs: 2 })], nothing, []);
    expect(now.get('h1')).toBe(before);
    expect(now.get('h2')?.lastHeardMs).toBe(2);
  });

  test('count as having looked by what is known of their goals now', () => {
    const hosts = new LiveHosts();
    const links = [aLink('h1')];
    const named = new Set(['crm/web-0']);
    hosts.of(links, nothing, []);
    expect(hosts.of(links, () => named, []).get('h1')?.acknowledged).toBe(null);
    expect(hosts.of(links, () => named, ['h1', 'h9']).get('h1')?.acknowledged).toBe(named);
  });

  test('are forgotten with their links', () => {
    const hosts = new LiveHosts();
    hosts.of([aLink('h1'), aLink('h2', { report: aReport(['crm/web-0']) })], nothing, []);
    const live = hosts.of([aLink('h1')], nothing, []);
    expect([...live.keys()]).toEqual(['h1']);
    expect([...telling(live, somethingLeaves)]).toEqual([]);
  });

  test('are found by what they tell, in the order of all, whoever began to tell of it last', () => {
    const hosts = new LiveHosts();
    const leaves = { report: aReport(['crm/web-0']) };
    const [h1, h2, h3] = [aLink('h1'), aLink('h2'), aLink('h3', leaves)];
    expect([...telling(hosts.of([h1, h2, h3], nothing, []), somethingLeaves)]).toEqual(['h3']);
    const now = hosts.of([aLink('h1', leaves), h2, h3], nothing, []);
    expect([...telling(now, somethingLeaves)]).toEqual(['h1', 'h3']);
    const gone = hosts.of([aLink('h1', { ...leaves, connected: false }), h2, h3], nothing, []);
    expect([...telling(gone, somethingLeaves)]).toEqual(['h3']);
  });
});
