import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeNotice } from '../src/event-names.ts';
import * as libvirt from '../src/index.ts';
import { describeState } from '../src/states.ts';

/** Our tables against the headers that are installed: a compiler says what each name means. */

const TABLES: readonly (readonly [prefix: string, table: Readonly<Record<string, number>>])[] = [
  ['VIR_ERR_', libvirt.ErrorCode],
  ['VIR_FROM_', libvirt.ErrorDomain],
  ['VIR_CONNECT_LIST_DOMAINS_', libvirt.ListDomainsFlag],
  ['VIR_DOMAIN_DEFINE_', libvirt.DomainDefineFlag],
  ['VIR_DOMAIN_', libvirt.DomainCreateFlag],
  ['VIR_DOMAIN_SHUTDOWN_', libvirt.DomainShutdownFlag],
  ['VIR_DOMAIN_REBOOT_', libvirt.DomainRebootFlag],
  ['VIR_DOMAIN_DESTROY_', libvirt.DomainDestroyFlag],
  ['VIR_DOMAIN_UNDEFINE_', libvirt.DomainUndefineFlag],
  ['VIR_DOMAIN_XML_', libvirt.DomainXmlFlag],
  ['VIR_DOMAIN_AFFECT_', libvirt.DomainAffect],
  ['VIR_DOMAIN_METADATA_', libvirt.DomainMetadataType],
  ['VIR_DOMAIN_STATS_', libvirt.DomainStatsGroup],
  ['VIR_CONNECT_GET_ALL_DOMAINS_STATS_', libvirt.AllDomainStatsFlag],
  ['VIR_MIGRATE_', libvirt.DomainMigrateFlag],
  ['VIR_DOMAIN_SAVE_', libvirt.DomainSaveRestoreFlag],
  ['VIR_DOMAIN_CONSOLE_', libvirt.DomainConsoleFlag],
  ['VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_', libvirt.InterfaceAddressesSource],
  ['VIR_DOMAIN_JOB_STATS_', libvirt.DomainJobStatsFlag],
  ['VIR_DOMAIN_QEMU_MONITOR_COMMAND_', libvirt.MonitorCommandFlag],
  ['VIR_CONNECT_LIST_NETWORKS_', libvirt.ListNetworksFlag],
  ['VIR_NETWORK_UPDATE_COMMAND_', libvirt.NetworkUpdateCommand],
  ['VIR_NETWORK_SECTION_', libvirt.NetworkUpdateSection],
  ['VIR_NETWORK_UPDATE_AFFECT_', libvirt.NetworkUpdateFlag],
  ['VIR_NETWORK_XML_', libvirt.NetworkXmlFlag],
];

const STATES: Readonly<Record<string, readonly string[]>> = {
  nostate: ['UNKNOWN'],
  running:
    'UNKNOWN BOOTED MIGRATED RESTORED FROM_SNAPSHOT UNPAUSED MIGRATION_CANCELED SAVE_CANCELED WAKEUP CRASHED POSTCOPY POSTCOPY_FAILED'.split(
      ' ',
    ),
  paused:
    'UNKNOWN USER MIGRATION SAVE DUMP IOERROR WATCHDOG FROM_SNAPSHOT SHUTTING_DOWN SNAPSHOT CRASHED STARTING_UP POSTCOPY POSTCOPY_FAILED'.split(
      ' ',
    ),
  shutdown: ['UNKNOWN', 'USER'],
  shutoff: 'UNKNOWN SHUTDOWN DESTROYED CRASHED MIGRATED SAVED FAILED FROM_SNAPSHOT DAEMON'.split(' '),
  crashed: ['UNKNOWN', 'PANICKED'],
};
const LIFECYCLE: Readonly<Record<string, string>> = {
  DEFINED: 'ADDED UPDATED RENAMED FROM_SNAPSHOT',
  UNDEFINED: 'REMOVED RENAMED',
  STARTED: 'BOOTED MIGRATED RESTORED FROM_SNAPSHOT WAKEUP',
  SUSPENDED: 'PAUSED MIGRATED IOERROR WATCHDOG RESTORED FROM_SNAPSHOT API_ERROR POSTCOPY POSTCOPY_FAILED',
  RESUMED: 'UNPAUSED MIGRATED FROM_SNAPSHOT POSTCOPY POSTCOPY_FAILED',
  STOPPED: 'SHUTDOWN DESTROYED CRASHED MIGRATED SAVED FAILED FROM_SNAPSHOT',
  SHUTDOWN: 'FINISHED GUEST HOST',
  PMSUSPENDED: 'MEMORY DISK',
  CRASHED: 'PANICKED CRASHLOADED',
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'node-libvirt-tables-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the compiler takes each name for. */
function figuresOf(names: readonly string[]): ReadonlyMap<string, number> {
  const source = join(folder, 'figures.cc');
  const program = join(folder, 'figures');
  const lines = names.map((name) => `  std::printf("${name} %lld\\n", static_cast<long long>(${name}));`);
  const includes = ['cstdio', 'libvirt/libvirt.h', 'libvirt/libvirt-qemu.h', 'libvirt/virterror.h'];
  writeFileSync(
    source,
    `${includes.map((file) => `#include <${file}>`).join('\n')}\nint main() {\n${lines.join('\n')}\n}\n`,
  );
  execFileSync('g++', ['-o', program, source]);
  const output = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  return new Map(
    output.map((line) => line.split(' ') as [string, string]).map(([name, v]) => [name, Number(v)]),
  );
}

test('every constant has the figure that libvirt’s headers give its name', () => {
  const ours = new Map<string, number>();
  for (const [prefix, table] of TABLES)
    for (const [name, figure] of Object.entries(table)) ours.set(prefix + name, figure);
  const theirs = figuresOf([...ours.keys()]);
  // An enumeration's value with the highest bit is a negative int in C.
  for (const [name, figure] of ours)
    expect([name, (theirs.get(name) ?? Number.NaN) >>> 0]).toEqual([name, figure]);
  expect(ours.size).toBeGreaterThan(300);
});

test('states and reasons are named as the headers order them', () => {
  const wanted: [state: string, reason: string, constant: string][] = [];
  for (const [state, reasons] of Object.entries(STATES))
    for (const reason of reasons) wanted.push([state, reason, `VIR_DOMAIN_${state.toUpperCase()}_${reason}`]);
  const states = figuresOf(Object.keys(STATES).map((state) => `VIR_DOMAIN_${state.toUpperCase()}`));
  const reasons = figuresOf(wanted.map(([, , constant]) => constant));
  for (const [state, reason, constant] of wanted) {
    const view = describeState(
      states.get(`VIR_DOMAIN_${state.toUpperCase()}`) ?? Number.NaN,
      reasons.get(constant) ?? Number.NaN,
    );
    expect(view.state).toBe(state);
    expect(view.reason).toBe(named(reason));
  }
});

test('lifecycle events and details are named as the headers order them', () => {
  const pairs = Object.entries(LIFECYCLE).flatMap(([type, details]) =>
    details.split(' ').map((detail) => [type, detail] as const),
  );
  const figures = figuresOf([
    ...Object.keys(LIFECYCLE).map((type) => `VIR_DOMAIN_EVENT_${type}`),
    ...pairs.map(([type, detail]) => `VIR_DOMAIN_EVENT_${type}_${detail}`),
  ]);
  for (const [type, detail] of pairs) {
    const payload = {
      type: figures.get(`VIR_DOMAIN_EVENT_${type}`),
      detailCode: figures.get(`VIR_DOMAIN_EVENT_${type}_${detail}`),
    };
    expect(describeNotice({ connection: 1, event: 'lifecycle', payload }).payload).toMatchObject({
      type: type.toLowerCase(),
      detail: named(detail),
    });
  }
});

test('what is newer than our tables is called unknown', () => {
  expect(describeState(1, 999)).toEqual({
    state: 'running',
    reason: 'unknown',
    stateCode: 1,
    reasonCode: 999,
  });
  expect(describeState(999, 1)).toMatchObject({ state: 'nostate', reason: 'unknown' });
  const event = describeNotice({ connection: 1, event: 'lifecycle', payload: { type: 99, detailCode: 99 } });
  expect(event.payload).toMatchObject({ type: 'unknown', detail: 'unknown', detailCode: 99 });
});

const named = (constant: string) =>
  constant.replace('IOERROR', 'IO_ERROR').toLowerCase().replaceAll('_', '-');
