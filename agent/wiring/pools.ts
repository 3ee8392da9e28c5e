import type { AgentConfiguration } from '../configuration.ts';
import type { PoolConfiguration, RbdPoolConfiguration } from '../disks/contract.ts';
import { LocalDisks } from '../disks/local-disks.ts';
import { PooledDisks } from '../disks/pooled-disks.ts';
import { RbdDisks } from '../disks/rbd/rbd-disks.ts';
import type { AgentPaths } from '../executor/paths.ts';
import { fencedAddresses } from '../protocol/index.ts';

export const filePoolsOf = ({ pools }: AgentConfiguration): readonly PoolConfiguration[] =>
  pools.flatMap((pool) => (pool.kind === 'rbd' ? [] : [pool]));

export const rbdPoolsOf = ({ pools }: AgentConfiguration): readonly RbdPoolConfiguration[] =>
  pools.flatMap((pool) => (pool.kind === 'rbd' ? [pool] : []));

export const disksOf = (configuration: AgentConfiguration, paths: AgentPaths): PooledDisks =>
  new PooledDisks(
    new LocalDisks(filePoolsOf(configuration), configuration.name),
    new RbdDisks({
      pools: rbdPoolsOf(configuration),
      host: configuration.name,
      scratch: paths.run,
      fenced: fencedAddresses(configuration.fence),
    }),
  );
