export { EventLog } from './event-log.ts';
export { Reconciler } from './loop.ts';
