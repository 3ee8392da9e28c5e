import { EventEmitter } from 'node:events';
import fc from 'fast-check';
import pino from 'pino';
import { describe, expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import * as protocol from '../../../agent/protocol/index.ts';
import { HostSession } from '../../../controller/fleet/host-session.ts';
import { arbitraryOf } from './arbitrary-frame.ts';

const SCHEMAS = Object.entries<unknown>(protocol).filter(
  (entry): entry is [string, z.ZodType] => entry[1] instanceof z.ZodType,
);
const anyJson = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  fc.constantFrom<unknown>(null, {}, [], { type: 'goal' }, { type: 'report', vms: [null] }, { type: {} }),
);
/** What a schema says of a value: the value as it is understood, or a zod error. Anything else thrown fails the test. */
const judged = (schema: z.ZodType, value: unknown) => {
  const result = schema.safeParse(value);
  if (!result.success) expect(result.error).toBeInstanceOf(z.ZodError);
  return result;
};

test('the protocol has its frames', () => {
  const names = SCHEMAS.map(([name]) => name);
  for (const frame of [
    'hello',
    'welcome',
    'goal',
    'report',
    'openStream',
    'refusal',
    'agentFrame',
    'controllerFrame',
  ])
    expect(names).toContain(frame);
});

describe.each(SCHEMAS)('%s', (_name, schema) => {
  test('takes any JSON with an answer or a zod error', () => {
    fc.assert(
      fc.property(anyJson, (value) => void judged(schema, value)),
      { numRuns: 100 },
    );
  });

  test('says the same of a newer peer’s words, and of its own after a journey', () => {
    fc.assert(
      fc.property(arbitraryOf(schema), ({ now, newer }) => {
        const understood = schema.parse(now);
        expect(schema.parse(newer)).toEqual(understood);
        expect(schema.parse(JSON.parse(JSON.stringify(understood)))).toEqual(understood);
      }),
      { numRuns: 50 },
    );
  });

  test('takes a frame with anything wrong in it with an answer or a zod error', () => {
    fc.assert(
      fc.property(arbitraryOf(schema), fc.nat(), anyJson, ({ now }, at, wrong) => {
        judged(schema, replaced(now, at, wrong));
      }),
      { numRuns: 100 },
    );
  });
});

describe('hostile frames', () => {
  const start = () => {
    const sent: string[] = [];
    const socket = Object.assign(new EventEmitter(), {
      send: (text: string) => sent.push(text),
      close: () => undefined,
      terminate: () => undefined,
    });
    const heard: string[] = [];
    new HostSession({
      host: 'h1',
      socket: socket as unknown as WebSocket,
      clock: new VirtualClock(0),
      log: pino({ level: 'silent' }),
      onHello: async (hello) => {
        heard.push(`hello ${hello.hostName}`);
        return { type: 'refusal', code: 'forbidden', message: 'no' };
      },
      onReport: () => heard.push('report'),
      onHeartbeat: () => heard.push('heartbeat'),
      onHeard: () => undefined,
      onClose: () => undefined,
    });
    return { say: (text: string | Buffer) => socket.emit('message', text), heard, sent };
  };

  test('of any text are passed over by a session of the controller', () => {
    const { say, heard, sent } = start();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.json(),
          anyJson.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          say(text);
        },
      ),
      { numRuns: 1_000 },
    );
    expect([heard, sent]).toEqual([[], []]);
  });

  test('before a hello are not listened to, whatever they report', () => {
    const { say, heard } = start();
    fc.assert(
      fc.property(fc.oneof(arbitraryOf(protocol.report), arbitraryOf(protocol.heartbeat)), ({ newer }) =>
        say(JSON.stringify(newer)),
      ),
      { numRuns: 100 },
    );
    expect(heard).toEqual([]);
  });

  test('of absurd depth or length are passed over', () => {
    const { say, heard } = start();
    const deep = 200_000;
    say(`${'['.repeat(deep)}${']'.repeat(deep)}`);
    say(`{"type":"report","vms":${'['.repeat(deep)}${']'.repeat(deep)}}`);
    say(`${'{"type":'.repeat(deep)}1${'}'.repeat(deep)}`);
    say('9'.repeat(1_000_000));
    say(Buffer.alloc(1_000_000, 0xff));
    expect(heard).toEqual([]);
  });

  test('cannot say more than is kept of each text', () => {
    const report = (overrides: object) =>
      protocol.vmReport.safeParse({
        ...{
          id: 'crm/web-0',
          incarnation: 1,
          phase: 'failed',
          rebootGeneration: 0,
          steps: [],
          tasks: [],
          boots: 0,
        },
        ...overrides,
      }).success;
    const failure = { code: 'task-failed', message: 'x' };
    expect(report({ failure })).toBe(true);
    expect(report({ failure: { ...failure, message: 'x'.repeat(4_097) } })).toBe(false);
    expect(report({ failure: { ...failure, consoleTail: 'x'.repeat(16_385) } })).toBe(false);
    expect(report({ overlay: 'x'.repeat(4_097) })).toBe(false);
    const task = {
      name: 't',
      kind: 'simple',
      status: 'failed',
      exitCode: 1,
      attempts: 1,
      startedAtMs: 0,
      ms: 0,
    };
    expect(report({ tasks: [{ ...task, output: 'x'.repeat(65_536) }] })).toBe(true);
    expect(report({ tasks: [{ ...task, output: 'x'.repeat(65_537) }] })).toBe(false);
    expect(report({ tasks: Array(257).fill({ ...task, output: '' }) })).toBe(false);
    expect(report({ steps: Array(17).fill({ name: 'boot', status: 'done', startedAtMs: 0, ms: 0 }) })).toBe(
      false,
    );
  });

  test('of a key called __proto__ change nobody’s prototype', () => {
    const text = '{"LOG": "info", "__proto__": {"owned": "yes"}, "constructor": "x"}';
    const env = protocol.workload.shape.env.safeParse(JSON.parse(text));
    expect(Object.getPrototypeOf(env.data ?? {})).toBe(Object.prototype);
    expect(Reflect.get({}, 'owned')).toBeUndefined();
  });
});

/** The `at`th place of a value, counted through all of it, holding something else. */
function replaced(value: unknown, at: number, wrong: unknown): unknown {
  const places = count(value);
  let left = at % places;
  const walk = (node: unknown): unknown => {
    if (left-- === 0) return wrong;
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node === 'object' && node !== null)
      return Object.fromEntries(Object.entries(node).map(([key, each]) => [key, walk(each)]));
    return node;
  };
  return walk(value);
}

const count = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? Object.values(value).reduce<number>((sum, each) => sum + count(each), 1)
    : 1;
