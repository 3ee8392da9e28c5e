import { z } from 'zod';
import { applicationDocument } from './schema.ts';

/** The published JSON Schema of a model, for editors (`service.schema.json`). */
export function modelJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(applicationDocument, { target: 'draft-2020-12', io: 'input' });
  return { ...schema, $id: 'https://weft.dev/schema/v1/service.schema.json', title: 'Weft application' };
}
