import { createConnection } from 'node:net';
import { WeftError } from '../../agent/kit/errors.ts';

const LIBVIRT_SOCKETS = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'];
const CONNECT_LIMIT_MS = 3_000;

/** What must be so before anything is started. @throws WeftError `set-up`, saying what to do. */
export async function checkHost(
  address: string,
  ports: readonly number[],
  sockets: readonly string[] = LIBVIRT_SOCKETS,
): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new WeftError('set-up', 'npm start needs root: it runs VMs through qemu:///system', {
      remedy: 'Run it with sudo.',
    });
  const answers = await Promise.all(sockets.map((path) => answersAt({ path })));
  if (!answers.includes(true))
    throw new WeftError('set-up', 'libvirt does not run on this host: nobody answers at qemu:///system', {
      remedy: 'Start it with: systemctl start libvirtd   (without systemd: virtlogd -d && libvirtd -d)',
    });
  for (const port of ports)
    if (await answersAt({ host: address, port }))
      throw new WeftError('set-up', `something listens at ${address}:${port} already`, {
        remedy: 'Is Weft running here? Use it: npx weft host ls. Otherwise free the port.',
      });
}

/** A socket file may be there although its daemon is not: only an answer counts. */
function answersAt(
  target: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ ...target, timeout: CONNECT_LIMIT_MS });
    const end = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
}
