import { parseArgs } from 'node:util';

export const USAGE = `usage: weft-agent [--config FILE] [--join-file FILE] [--controller HOST:PORT] [--init-pool NAME]
                  [--end-servers]

  --config FILE           configuration, default /etc/weft/agent.yaml; it need not exist
  --join-file FILE        file with a join token from "weft host token"; each token is used once, also to join anew
  --controller HOST:PORT  where the controller is now, if it has moved since this host joined
  --init-pool NAME        make the folder of a shared pool (or place for backups, or a pool in Ceph) one, on one of the hosts that share it, and end
  --end-servers           end load balancer, shared addresses, names and router advertisements of this host, which outlive the agent, and end; for when it is removed
`;

export function readCommandLine() {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: '/etc/weft/agent.yaml' },
      'join-file': { type: 'string' },
      controller: { type: 'string' },
      'init-pool': { type: 'string' },
      'end-servers': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  return values;
}
