import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aMachine, PoolStage } from '../../support/pool-stage.ts';

const HOSTS = ['h1', 'h2', 'h3', 'h4'] as const;
const aHost = fc.constantFrom(...HOSTS);
const aStorage = fc.constantFrom('a', 'b');
const anAction = fc.oneof(
  fc.record({ kind: fc.constant('mount' as const), host: aHost, storage: aStorage }),
  fc.record({ kind: fc.constant('die' as const), host: aHost }),
  fc.record({ kind: fc.constant('return' as const), host: aHost }),
);
type Action = typeof anAction extends fc.Arbitrary<infer T> ? T : never;

function act(stage: PoolStage, action: Action): void {
  // What a dead host would mount, nobody sees.
  if (action.kind === 'mount' && !stage.away.has(action.host)) stage.mounts(action.host, action.storage);
  if (action.kind === 'die') stage.dies(action.host);
  if (action.kind === 'return' && stage.away.has(action.host)) stage.returns(action.host);
}

test('a machine never goes on where its disk is not, whatever hosts mount', () => {
  let moves = 0;
  fc.assert(
    fc.property(
      fc.tuple(aStorage, aStorage, aStorage, aStorage),
      fc.array(anAction, { maxLength: 12 }),
      (storages, actions) => {
        const stage = new PoolStage(
          Object.fromEntries(HOSTS.map((name, index) => [name, storages[index] ?? 'a'])),
        );
        stage.vms.set('crm/db', aMachine());
        let disk = stage.storageOf.get('h1');
        stage.settle();
        for (const action of actions) {
          const home = String(stage.vms.get('crm/db')?.host);
          act(stage, action);
          // Who remounts under a running machine has it on what it opened; a host that mounts another storage and dies is another matter.
          if (home === action.host && action.kind === 'mount') disk = stage.storageOf.get(home);
          stage.settle();
          stage.pass();
          const now = String(stage.vms.get('crm/db')?.host);
          if (now === home) continue;
          moves++;
          expect(stage.storageOf.get(now)).toBe(disk);
        }
      },
    ),
    { numRuns: Number(process.env.WEFT_RUNS ?? 20) * 10 },
  );
  expect(moves).toBeGreaterThan(0);
});
