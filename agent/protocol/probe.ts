import { z } from 'zod';

/** How it is found out whether a guest, or an endpoint of it, works. */
export const probe = z.object({
  check: z.discriminatedUnion('type', [
    z.object({ type: z.literal('http'), path: z.string().startsWith('/').max(1024) }),
    z.object({ type: z.literal('tcp') }),
    z.object({ type: z.literal('exec'), command: z.string().max(4096) }),
  ]),
  intervalMs: z.number().int().min(100),
  timeoutMs: z.number().int().min(50),
});
export type Probe = z.infer<typeof probe>;
