import { z } from 'zod';
import { DIGEST_PATTERN, NAME_FORM, NAME_PATTERN } from '../../agent/kit/names.ts';

/** Shapes that several resources share. */
export const name = z.string().regex(NAME_PATTERN, { error: NAME_FORM });
export const digest = z
  .string()
  .regex(DIGEST_PATTERN, { error: 'must be a digest: sha256: and 64 hex digits in lower case' });
export const appParams = z.object({ app: name });
export const vmParams = z.object({ app: name, name: z.string().max(64) });
/** Records go out as the store has them; their types are in `controller/model/records.ts`. */
export const document = z.record(z.string(), z.unknown());
export const nothing = z.object({});
/** Of an answer: also a list that nobody may change. */
export const listOf = <Item extends z.ZodType>(item: Item): z.ZodType<readonly z.output<Item>[]> =>
  z.array(item);

export const vmIdOf = (params: { app: string; name: string }) => `${params.app}/${params.name}`;
