import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeptPart } from '../../../agent/network/kept-part.ts';
import { hasBackbone } from '../../../agent/network/router-part.ts';
import { aGuest, FLEET, partOf } from '../../contract/network/fleet.ts';

let folder = '';
let file = '';
const log = { warn: () => undefined };
const keptIn = (options: { readonly fleet?: string; readonly bootId?: string } = {}) =>
  new KeptPart({ file, fleet: FLEET, bootId: 'this boot', log, ...options });
const edge = partOf('h3', [aGuest('crm/web', 0, 'h1')]);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-kept-'));
  file = join(folder, 'router.json');
});
afterEach(() => rm(folder, { recursive: true }));

test('the next agent of this boot and fleet finds what was wanted, without what is served', async () => {
  const secret = { name: 'shop', digest: `sha256:${'a'.repeat(64)}` };
  const served = { ...edge, ...(edge.edge && { edge: { ...edge.edge, certificates: [secret] } }) };
  await keptIn().keep(served);
  const found = await keptIn().found();
  expect(found).toEqual(edge);
  expect(found !== null && hasBackbone(found)).toBe(true);
  expect(await keptIn({ bootId: 'another' }).found()).toBeNull();
  expect(await keptIn({ fleet: 'f00d0000-0000-4000-8000-000000000001' }).found()).toBeNull();
});

test('what it finds is what was there when it began', async () => {
  const kept = keptIn();
  await kept.keep(edge);
  expect(await kept.found()).toBeNull();
});

test('of another version it takes what it knows, and nothing where that is not whole', async () => {
  await keptIn().keep(edge);
  const text = await readFile(file, 'utf8');
  const document = JSON.parse(text);
  await writeFile(
    file,
    JSON.stringify({ ...document, part: { ...document.part, later: true }, later: true }),
  );
  expect(await keptIn().found()).toEqual(edge);
  for (const damaged of ['', text.slice(0, -9), JSON.stringify({ ...document, part: { fleet: FLEET } })]) {
    await writeFile(file, damaged);
    expect(await keptIn().found()).toBeNull();
  }
});

test('of what is wanted in quick succession the last is written, and nothing that it has overtaken after it', async () => {
  const kept = keptIn();
  const parts = ['h1', 'h2', 'h3'].map((host) => partOf(host, [aGuest('crm/web', 0, host)]));
  const written: string[] = [];
  await Promise.all(
    parts.map(async (part) => {
      await kept.keep(part);
      written.push(await readFile(file, 'utf8'));
    }),
  );
  expect(await keptIn().found()).toEqual(parts[2]);
  expect(new Set(written).size).toBe(1);
});

test('that it cannot be written is told', async () => {
  await writeFile(file, '');
  const told: string[] = [];
  const warn = (_fields: unknown, text?: string) => told.push(text ?? '');
  const options = { file: join(file, 'below'), fleet: FLEET, bootId: 'this boot', log: { warn } as never };
  await new KeptPart(options).keep(edge);
  expect(told).toEqual(['what is wanted of guests’ networks could not be written down']);
});
