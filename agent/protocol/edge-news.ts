import { isSameDocument } from '../kit/same-document.ts';
import type { EdgeReport } from './network.ts';

/** What of an edge host's report is a state, and no figure that only counts. */
const statesOf = ({ endpoints, ...rest }: EdgeReport) => ({
  ...rest,
  endpoints: endpoints.map(({ id, state, reason, backends }) => ({
    ...{ id, state, reason },
    backends: backends.map(({ name, state: backend, sessions }) => ({
      name,
      state: backend,
      // Whoever waits for the last one to end wants to hear of that.
      isIdle: backend === 'draining' && sessions === 0,
    })),
  })),
});

/** Whether two reports differ at most in what only counts. */
export const saySameOfEdge = (one: EdgeReport | undefined, other: EdgeReport | undefined): boolean =>
  one === other ||
  (one !== undefined && other !== undefined && isSameDocument(statesOf(one), statesOf(other)));
