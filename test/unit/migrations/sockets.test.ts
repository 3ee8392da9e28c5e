import { expect, test } from 'vitest';
import { MigrationSockets } from '../../../agent/migrations/sockets.ts';

test('sockets have names that AppArmor’s helper of libvirt allows a guest, and paths that the kernel takes', () => {
  const sockets = new MigrationSockets();
  expect(sockets.path('weft-5eed-crm-db-a6cbe0', 2, 'memory')).toBe(
    '/run/libvirt/weft/2.memory.tunnelmigrate.dest.weft-5eed-crm-db-a6cbe0',
  );
  const long = (letter: string) => `weft-5eed-${letter.repeat(40)}-${letter.repeat(50)}-a6cbe0`;
  expect(sockets.path(long('a'), 123_456, 'control').length).toBeLessThan(108);
  expect(sockets.path(long('a'), 2, 'control')).not.toBe(sockets.path(long('b'), 2, 'control'));
});
