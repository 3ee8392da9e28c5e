import { writeFileSync } from 'node:fs';
import { modelJsonSchema } from '../model/index.ts';
import { openApiDocument } from './openapi.ts';

/** Writes the two documents that are generated and committed. */
const write = (path: string, document: unknown) =>
  writeFileSync(new URL(path, import.meta.url), `${JSON.stringify(document, null, 2)}\n`);

write('./openapi.json', await openApiDocument());
write('../model/service.schema.json', modelJsonSchema());
