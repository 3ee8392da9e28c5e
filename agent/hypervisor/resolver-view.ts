import type { ResolverView } from './driver.ts';

/** Of more than a resolver, only what it knows. */
export const resolverIn = ({ resolver, namesOnly }: ResolverView): ResolverView => ({
  ...(resolver && { resolver }),
  ...(namesOnly && { namesOnly }),
});
