import { close, runVitest } from '../support/stage.ts';

/** `npm run test:ceph`: machines on a real, small Ceph cluster. Needs root; its packages are installed by test/setup/ceph.sh. */
process.exit(close([await runVitest('ceph', ['ceph'])]));
