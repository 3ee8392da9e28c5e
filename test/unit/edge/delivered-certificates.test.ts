import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findCertificate, lookAtCertificate } from '../../../agent/edge/certificates.ts';
import { challengesText, parseChallenges, planChallenges } from '../../../agent/edge/challenges.ts';
import { DeliveredCertificates } from '../../../agent/edge/delivered-certificates.ts';
import { createLogger } from '../../../agent/kit/log.ts';
import { VirtualClock } from '../../../agent/kit/virtual-clock.ts';
import { anAuthority } from '../../support/certificates.ts';
import { waitFor } from '../../support/wait-for.ts';

let folder: string;
let clock: VirtualClock;
let delivered: DeliveredCertificates;
let answer: (name: string) => Promise<string>;
let fetched: string[];

const digestOf = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
const wanted = (name: string, text: string) => ({ name, digest: digestOf(text) });
const fileOf = (name: string) => join(folder, 'edge', 'certificates', `${name}.pem`);
const until = (name: string, text: string) =>
  waitFor(
    `${name} to come`,
    () => readFile(fileOf(name), 'utf8').catch(() => null),
    (found) => found === text,
    30_000,
    5,
  );

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-delivered-'));
  clock = new VirtualClock(1_000);
  fetched = [];
  delivered = new DeliveredCertificates({
    folder: join(folder, 'edge', 'certificates'),
    fetch: (name, digest) => {
      fetched.push(`${name} ${digest}`);
      return answer(name);
    },
    clock,
    log: createLogger('edge', 'silent'),
    onChange: () => undefined,
  });
});
afterEach(async () => {
  await delivered.close();
  await rm(folder, { recursive: true, force: true });
});

test('what is wanted comes into a file that nobody else reads, once, and another one in its place', async () => {
  answer = async () => 'one';
  delivered.follow([wanted('shop', 'one')]);
  await until('shop', 'one');
  expect((await stat(fileOf('shop'))).mode & 0o777).toBe(0o600);
  expect((await stat(join(folder, 'edge'))).mode & 0o777).toBe(0o700);
  answer = async () => 'two';
  delivered.follow([wanted('shop', 'two')]);
  await until('shop', 'two');
  delivered.follow([wanted('shop', 'two'), wanted('crm', 'two')]);
  await until('crm', 'two');
  expect(fetched).toHaveLength(3);
});

test('what does not come, or is another one, is told and asked for again; what was there stays', async () => {
  answer = async () => 'one';
  delivered.follow([wanted('shop', 'one')]);
  await until('shop', 'one');
  answer = () => Promise.reject(new Error('nobody is there'));
  delivered.follow([wanted('shop', 'two')]);
  const problem = async () => delivered.problemOf('shop');
  await waitFor('the problem', problem, (text) => text === 'nobody is there', 30_000, 5);
  answer = async () => 'something else';
  await clock.advance(1_000);
  await waitFor(
    'another problem',
    problem,
    (text) => text?.includes('not the certificate') === true,
    30_000,
    5,
  );
  expect(await readFile(fileOf('shop'), 'utf8')).toBe('one');
  answer = async () => 'two';
  await clock.advance(60_000);
  await until('shop', 'two');
  await waitFor('nothing to be wrong', problem, (text) => text === null, 30_000, 5);
});

test('what is not wanted any more goes, with halves that a crash has left', async () => {
  answer = async () => 'one';
  delivered.follow([wanted('shop', 'one'), wanted('crm', 'one')]);
  await until('crm', 'one');
  await writeFile(`${fileOf('shop')}.abc.tmp`, 'half');
  delivered.follow([wanted('crm', 'one')]);
  await delivered.tidy();
  expect(await readdir(join(folder, 'edge', 'certificates'))).toEqual(['crm.pem']);
});

test('one that comes when it is not wanted any more is not written', async () => {
  let send: (text: string) => void = () => undefined;
  answer = () => new Promise((resolve) => (send = resolve));
  delivered.follow([wanted('shop', 'one')]);
  await waitFor(
    'the question',
    async () => fetched.length,
    (count) => count === 1,
    30_000,
    5,
  );
  delivered.follow([]);
  await delivered.tidy();
  send('one');
  await delivered.close();
  expect(await readdir(join(folder, 'edge')).catch(() => [])).toEqual([]);
});

test('the controller’s goes before the host’s own, which serves until it has come', async () => {
  const authority = await anAuthority();
  const own = join(folder, 'own');
  const places = {
    own: (name: string) => lookAtCertificate(own, name),
    delivered: join(folder, 'delivered'),
  };
  const put = async (place: string, mode = 0o600) => {
    const { certificate, key } = await authority.issueServer(['shop.example.org'], Date.now());
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'shop.pem'), `${certificate}\n${key}`, { mode });
  };
  const find = (isKept: boolean) => findCertificate(places, 'shop', isKept, 'nobody is there');
  expect(await find(true)).toEqual({
    problem: 'certificate shop: it has not come from the controller yet: nobody is there',
  });
  expect(await find(false)).toEqual({
    isMissing: true,
    problem:
      'certificate shop: neither the controller nor this host has it. Put it there with: weft certificate put shop --file FILE',
  });
  await put(own);
  expect(await find(true)).toMatchObject({ file: join(own, 'shop.pem') });
  await put(places.delivered);
  expect(await find(true)).toMatchObject({ file: join(places.delivered, 'shop.pem') });
  expect(await find(false)).toMatchObject({ file: join(own, 'shop.pem') });
});

const TOKENS = ['a', 'b', 'c'].map((letter) => letter.repeat(43));
const challenge = (token = '', thumb = 'x') => ({ token, authorization: `${token}.${thumb.repeat(43)}` });

test('a worker is told of challenges what it does not know, and to forget what is over or another one', () => {
  const [one, two, three] = TOKENS;
  expect(planChallenges([], new Map())).toEqual([]);
  const known = parseChallenges(
    `0x55 /.well-known/acme-challenge/${one} ${challenge(one).authorization}\n0x56 /.well-known/acme-challenge/${two} ${challenge(two).authorization}\n\n`,
  );
  expect([...known.keys()]).toEqual([one, two]);
  expect(planChallenges([challenge(one), challenge(two)], known)).toEqual([]);
  expect(planChallenges([challenge(two, 'y'), challenge(three)], known)).toEqual([
    `del map challenges.map /.well-known/acme-challenge/${one}`,
    `del map challenges.map /.well-known/acme-challenge/${two}`,
    `add map challenges.map /.well-known/acme-challenge/${two} ${challenge(two, 'y').authorization}`,
    `add map challenges.map /.well-known/acme-challenge/${three} ${challenge(three).authorization}`,
  ]);
  expect(challengesText([challenge(one)])).toBe(
    `/.well-known/acme-challenge/${one} ${challenge(one).authorization}\n`,
  );
});
