// first-open.mjs: which event threads there are before and after a process's first connection, and what it hears.
import { readdirSync, readFileSync } from 'node:fs';
import { Connection } from '../../dist/index.js';
import { report, testMachine } from './common.mjs';

const eventThreads = () =>
  readdirSync('/proc/self/task').filter((thread) =>
    readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').startsWith('libvirt-events'),
  ).length;

const before = eventThreads();
const connection = await Connection.open('test:///default');
const events = [];
connection.on('lifecycle', (event) => events.push(event.type));
const domain = await connection.defineDomain(testMachine('first'));
await domain.undefine();
while (events.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
report({ before, after: eventThreads(), events });
await connection.close();
