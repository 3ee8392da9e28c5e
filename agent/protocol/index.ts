export * from './backups.ts';
export * from './doctor.ts';
export * from './frames.ts';
export * from './goal.ts';
export * from './lease.ts';
export { PROTOCOL_VERSION } from './primitives.ts';
export * from './report.ts';
export * from './rest.ts';
export * from './steps.ts';
