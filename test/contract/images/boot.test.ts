import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildRecipe, DEFAULT_RECIPE_CACHE } from '../../../images/recipes/build-recipe.ts';
import { tiny } from '../../../images/recipes/tiny/recipe.ts';
import { BareGuest } from './bare-guest.ts';

/** Generous: only a hang may fail here. */
const LIMIT_MS = 90_000;

describe('a guest of the tiny image', () => {
  let folder: string;
  let guest: BareGuest;

  beforeAll(async () => {
    const signal = AbortSignal.timeout(300_000);
    const image = await buildRecipe(tiny, { cacheFolder: DEFAULT_RECIPE_CACHE, onLine: () => {}, signal });
    folder = await mkdtemp(join(tmpdir(), 'weft-boot-'));
    guest = new BareGuest(image, folder, 128);
    await guest.prepare('guest-1');
  }, 300_000);
  afterAll(async () => {
    guest?.kill();
    await rm(folder, { recursive: true, force: true });
  });

  it(
    'takes its key, host key, name and address from the seed, and keeps what is written over a reboot',
    async () => {
      await guest.start();
      const first = await guest.ssh('hostname; cat /proc/sys/kernel/random/boot_id', LIMIT_MS);
      const [hostname, bootId] = first.stdout.trim().split('\n');
      expect(hostname).toBe('guest-1');
      const address = await guest.ssh('ip -4 addr show eth0; cat /etc/resolv.conf; ip route', LIMIT_MS);
      expect(address.stdout).toMatch(/10\.0\.2\.15\/24[\s\S]*nameserver 10\.0\.2\.3[\s\S]*via 10\.0\.2\.2/);
      expect((await guest.ssh('exit 7', LIMIT_MS)).code).toBe(7);
      const serve =
        'mkdir -p /srv/www; echo hi >/srv/www/x; httpd -p 8080 -h /srv/www; wget -qO- http://127.0.0.1:8080/x';
      expect((await guest.ssh(serve, LIMIT_MS)).stdout).toBe('hi\n');
      await guest.ssh('echo kept >/root/kept && sync', LIMIT_MS);
      await guest.ssh('reboot', LIMIT_MS);
      await expect
        .poll(
          async () => {
            const now = await guest.ssh('cat /proc/sys/kernel/random/boot_id /root/kept', LIMIT_MS);
            return now.stdout.startsWith(bootId ?? '') ? 'not yet' : now.stdout.split('\n')[1];
          },
          { timeout: LIMIT_MS, interval: 500 },
        )
        .toBe('kept');
    },
    3 * LIMIT_MS,
  );

  it(
    'grows its file system to the disk and powers off by the power button',
    async () => {
      await expect
        .poll(async () => (await guest.ssh("df -m / | awk 'NR==2 {print $2}'", LIMIT_MS)).stdout, {
          timeout: LIMIT_MS,
          interval: 500,
        })
        .toMatch(/^3\d{3}\n$/);
      await expect
        .poll(async () => (await guest.ssh('pidof acpid', LIMIT_MS)).code, {
          timeout: LIMIT_MS,
          interval: 500,
        })
        .toBe(0);
      expect(await guest.powerOff(LIMIT_MS)).toBe(true);
    },
    3 * LIMIT_MS,
  );
});
