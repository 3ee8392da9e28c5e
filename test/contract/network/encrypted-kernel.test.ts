import { test } from 'vitest';
import { whyNoKernelWireguard } from '../../support/kernel-wireguard.ts';
import { testEncryption } from './encryption-by.ts';

const problem = await whyNoKernelWireguard();
if (problem === null) testEncryption('kernel');
else test.skip(`the kernel’s own WireGuard, which it has not: ${problem}`);
