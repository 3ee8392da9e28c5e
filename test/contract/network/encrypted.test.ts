import { testEncryption } from './encryption-by.ts';

testEncryption('userspace');
