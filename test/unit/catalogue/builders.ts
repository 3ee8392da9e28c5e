import { createHash } from 'node:crypto';
import type { ImageRecord } from '../../../controller/model/records.ts';

export function anImage(given: { name?: string; version?: string } = {}): ImageRecord {
  const { name = 'debian', version = '12-aaaa' } = given;
  const digest = `sha256:${createHash('sha256').update(`${name}:${version}`).digest('hex')}`;
  return {
    name,
    version,
    goal: {
      name,
      version,
      layers: [{ digest, sizeBytes: 1, virtualSizeBytes: 512 }],
      architecture: 'x86_64',
      boot: { method: 'disk', firmware: 'bios' },
      disk: 'virtio',
      nic: 'virtio',
      seed: 'nocloud',
      sshUser: 'root',
      webServer: 'none',
    },
    virtualSizeBytes: 512,
    sizeBytes: 1,
    sourceFormat: 'qcow2',
    createdAtMs: 0,
    sshKeySecret: null,
  };
}
