import { close, runVitest } from '../support/stage.ts';

/** `npm run test:failover`: each fault of a host, with each of Weft's programs killed in the middle of it. Needs root. */
process.exit(close([await runVitest('failover', ['failover'])]));
