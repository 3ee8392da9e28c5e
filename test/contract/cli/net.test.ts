import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import type { NetworkView, WhyAnswer } from '../../../controller/client/types.ts';
import { LoneController } from '../../support/lone-controller.ts';

const MODEL = `apiVersion: weft/v1
kind: Application
name: crm
roles:
  web:
    {kind: worker, image: "tiny:stable", size: small, instances: 1, endpoints: {http: {type: input, protocol: http, port: 80}}}
  db:
    {kind: worker, image: "tiny:stable", size: small, instances: 1,
     endpoints: {sql: {type: internal, protocol: tcp, port: 5432, from: [web]}}}
`;

let controller: LoneController;
beforeAll(async () => {
  controller = await LoneController.start();
  const file = await controller.write('weft.yaml', MODEL);
  const disk = join(controller.folder, 'tiny.qcow2');
  await exec('qemu-img', ['create', '-f', 'qcow2', disk, '16M'], { timeoutMs: 30_000 });
  const image = ['--name', 'tiny', '--version', '1', '--channel', 'stable', '--firmware', 'bios'];
  const imported = await controller.weft.run(['image', 'import', disk, ...image]);
  expect(imported.exitCode, imported.stderr).toBe(0);
  const applied = await controller.weft.run(['apply', '-f', file]);
  expect(applied.exitCode, applied.stderr).toBe(0);
}, 120_000);
afterAll(() => controller?.stop());

const said = async (...args: string[]) => {
  const result = await controller.weft.run(args);
  expect(result.exitCode, result.stderr).toBe(0);
  return result.stdout;
};

test('the network of an application, as tables, drawings and a document', async () => {
  expect(await said('net', 'crm')).toMatch(/crm\/web +→ +crm\/db +tcp 5432 +crm\/db\/sql/);
  expect(await said('net', 'crm', '--mermaid')).toContain('flowchart LR');
  expect(await said('net', 'crm', '--dot')).toContain('digraph "crm" {');
  const view = JSON.parse(await said('net', 'crm', '--json')) as NetworkView;
  expect(view.zone).toBe('weft.internal');
  expect(view.subnets.map(({ id }) => id)).toEqual(['crm/web', 'crm/db']);
});

test('why something passes, and why not', async () => {
  expect(await said('net', 'why', 'crm/web', '→', 'crm/db:5432')).toContain(
    'allowed: its endpoint crm/db/sql lets crm/web in',
  );
  const answer = JSON.parse(await said('--json', 'net', 'why', 'crm/db', 'crm/web:80')) as WhyAnswer;
  expect(answer).toMatchObject({ allowed: false, rule: null });
});

test('what is not there, or is no connection, is refused', async () => {
  const refused = async (exitCode: number, ...args: string[]) => {
    const result = await controller.weft.run(args);
    expect(result.exitCode, result.stderr).toBe(exitCode);
    return result.stderr;
  };
  expect(await refused(1, 'net', 'nothing')).toContain('there is no application nothing');
  expect(await refused(1, 'net', 'why', 'crm/nothing', 'crm/web:80')).toContain('"crm/nothing"');
  expect(await refused(2, 'net', 'why', 'crm/web')).toContain('A B:PORT');
  expect(await refused(2, 'net', 'trace', 'world', 'crm/web:80')).toMatch(
    /no guest from which to try\n {2}It is tried from inside a guest/,
  );
  expect(await refused(2, 'net', 'why', 'crm/web', '2001:db8::1')).toContain('in brackets');
  expect(await refused(1, 'ps', 'nothing')).toContain('there is no application nothing');
});
