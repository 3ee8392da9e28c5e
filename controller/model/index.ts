export { modelJsonSchema } from './json-schema.ts';
export type { ModelProblem } from './parse.ts';
export * from './records.ts';
export { outlineModel, resolveService } from './resolve.ts';
export type * from './service.ts';
