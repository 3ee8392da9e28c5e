#!/usr/bin/env node
// The `weft` command of a checkout: runs the TypeScript sources. An installed Weft runs the built ones.
import { register } from 'tsx/esm/api';

register();
await import('./main.ts');
