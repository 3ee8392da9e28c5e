import { stat } from 'node:fs/promises';

/** Where libvirtd listens, and where its daemon for QEMU does where it comes in parts. */
const KNOWN = ['/run/libvirt/libvirt-sock', '/run/libvirt/virtqemud-sock'];

/** The unix socket of this host's libvirt. */
export async function libvirtSocket(uri: string): Promise<string> {
  const named = new URL(uri).searchParams.get('socket');
  if (named !== null) return named;
  for (const path of KNOWN) if (await isSocket(path)) return path;
  return KNOWN[0] ?? '';
}

const isSocket = (path: string) =>
  stat(path).then(
    (found) => found.isSocket(),
    () => false,
  );
