import { readFile } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { readConsoleTail } from '../executor/console-tail.ts';
import type { Executor } from '../executor/executor.ts';
import { domainName } from '../executor/names.ts';
import type { AgentPaths } from '../executor/paths.ts';
import type { LibvirtDriver } from '../hypervisor/libvirt/libvirt-driver.ts';
import { WeftError } from '../kit/errors.ts';
import type { Logger } from '../kit/log.ts';
import type { MigrationKeeper } from '../migrations/keeper.ts';
import { serveMigration } from '../migrations/serve.ts';
import type { NftHostNetwork } from '../network/nft-host-network.ts';
import type { OpenStream, RuleQuestion } from '../protocol/index.ts';
import { serveStream } from '../session/streams.ts';
import type { HeldIdentity } from './held-identity.ts';

/** A connection to the controller that carries bytes. */
export type Dial = (path: string) => Promise<Duplex>;

export interface StreamParts {
  readonly fleet: string;
  readonly driver: LibvirtDriver;
  readonly executor: Executor;
  readonly paths: AgentPaths;
  readonly migrations: MigrationKeeper;
  readonly network: NftHostNetwork;
  readonly dial: Dial;
  readonly identity: HeldIdentity;
  readonly log: Logger;
}

/** Answers the controller's wish for a stream: to a console, a guest, a picture, or a machine that comes here. */
export function streamServer({
  fleet,
  driver,
  executor,
  paths,
  migrations,
  network,
  dial,
  identity,
  log,
}: StreamParts): (request: OpenStream) => void {
  const targets = {
    openConsole: (vmId: string) => driver.openConsole(domainName(fleet, vmId)),
    address: (vmId: string) => addressOf(executor, vmId),
    consoleLog: async (vmId: string, bytes: number) =>
      (await readConsoleTail(paths.consoleLog(vmId), bytes)) ?? '',
    screenshot: async (vmId: string, of: 'now' | 'end') =>
      of === 'end'
        ? readFile(paths.picture(vmId))
        : (await driver.takeScreenshot(domainName(fleet, vmId))).data,
    ruleCounters: (question: RuleQuestion) => network.counters(fleet, question),
  };
  const connect = migrations.connect.bind(migrations);
  return (request) => {
    if (request.target.kind === 'migration') void serveMigration(request, { dial, connect, log });
    else void serveStream(request, targets, identity.current, log);
  };
}

function addressOf(executor: Executor, vmId: string): string {
  const vm = executor.vm(vmId);
  if (vm) return vm.nic.address;
  throw new WeftError('not-found', `${vmId} is not on this host`);
}
