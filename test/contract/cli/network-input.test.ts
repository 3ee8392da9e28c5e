import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exec } from '../../../agent/kit/exec.ts';
import { REPOSITORY } from '../../lab/layout.ts';
import { LoneController } from '../../support/lone-controller.ts';

let controller: LoneController;
beforeAll(async () => {
  controller = await LoneController.start();
}, 120_000);
afterAll(() => controller?.stop());

/** @param web an endpoint of the role web. @param more of the role api, or of machines. */
const model = (web: string, more: string) => `apiVersion: weft/v1
kind: Application
name: crm
roles:
  web: {kind: worker, image: "tiny:stable", size: small, instances: 2, endpoints: {http: ${web}}}
  api: {kind: worker, image: "tiny:stable", size: small, instances: 1, endpoints: {${more}}}
`;
const INPUT = '{type: input, port: 80}';

describe('a network that cannot be is refused by its place in the file, with what to do', () => {
  test.each([
    [
      'two roles that want one public port',
      model(INPUT, `http: ${INPUT}`),
      '6:110: roles.api.endpoints.http.port: api/http and web/http both want the public port 80\n  Choose another one: web/http has port 80.',
    ],
    [
      'instances whose ports reach those of another role',
      model('{type: instance, port: 7000}', 'own: {type: input, port: 7001}'),
      '6:109: roles.api.endpoints.own.port: api/own and web/http both want the public port 7001\n  Choose another one: web/http has ports 7000 to 7001.',
    ],
    [
      'from that names no role',
      model('{type: internal, port: 80, from: [apo]}', ''),
      '5:124: roles.web.endpoints.http.from.0: there is no role "apo", and no network of machines of that name\n  Did you mean api?',
    ],
    [
      'a port that there is not',
      model('{type: input, port: 70000}', ''),
      '5:110: roles.web.endpoints.http.port: must be at most 65535',
    ],
    [
      'a public machine that publishes nothing',
      `${model(INPUT, '')}machines:\n  db: {image: "tiny:stable", size: small, public: true}\n`,
      '8:43: machines.db.public: a public machine needs an endpoint of type input\n  Declare one, or remove public.',
    ],
    [
      'a machine that is to reach what is no network',
      `${model(INPUT, '')}machines:\n  db: {image: "tiny:stable", size: small, outbound: [mirror.example.org]}\n`,
      '8:54: machines.db.outbound.0: must be a network such as 10.1.0.0/16 or 2001:db8::/32',
    ],
    [
      'a certificate whose name would be a path',
      model('{type: input, port: 443, certificate: ../../key}', ''),
      '5:128: roles.web.endpoints.http.certificate: must be a DNS label: lower-case letters, digits and dashes, a letter first, at most 40',
    ],
  ])('%s', async (_what, text, problem) => {
    const file = await controller.write('weft.yaml', text);
    const { exitCode, stdout, stderr } = await controller.weft.run(['apply', '-f', file]);
    expect(stderr.replaceAll(`${controller.folder}/`, '')).toBe(
      `weft: a problem in weft.yaml; nothing was changed\nweft.yaml:${problem}`,
    );
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(await controller.weft.json(['ls'])).toEqual([]);
  });
});

describe('a controller that is told of a network that cannot be does not start', () => {
  const ALONE = '2001:db8::200-2001:db8::2ff/64';
  test.each([
    [['--zone', 'com'], 'zone com collides with the public top-level domain com'],
    [['--public', '192.0.2.9-192.0.3.1/24'], '--public 192.0.2.9-192.0.3.1/24 is no range of one link'],
    [['--public', ALONE], `--public ${ALONE} is of IPv6 alone: those go along with addresses of IPv4`],
  ])('%s', async (args, problem) => {
    const state = join(controller.folder, 'other');
    const program = ['--import', 'tsx', join(REPOSITORY, 'controller/main.ts'), '--state', state];
    const { exitCode, stderr } = await exec(process.execPath, [...program, ...args], {
      cwd: REPOSITORY,
      okExitCodes: [0, 1, 2],
      timeoutMs: 60_000,
    });
    expect(stderr).toContain(`weft-controller: ${problem}`);
    expect(exitCode).toBe(2);
    expect(await readdir(controller.folder)).not.toContain('other');
  });
});
