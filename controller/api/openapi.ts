import { CONTROLLER_VERSION } from '../version.ts';
import type { ApiContext } from './context.ts';
import { createApi } from './server.ts';

/** The API's description, generated from its routes. Nothing is served: routes only look at their context when they are called. */
export async function openApiDocument(): Promise<unknown> {
  const api = await createApi({ version: CONTROLLER_VERSION } as ApiContext, null);
  await api.ready();
  return JSON.parse(JSON.stringify(api.swagger()));
}
