/**
 * Whether an event is about what was asked for.
 * @param subject of the event: a VM's id, a host or an application.
 * @param asked `app` (with all of its VMs), `app/role` (with its instances), a VM's id, or a host.
 */
export function isAbout(subject: string, asked: string): boolean {
  if (subject === asked || subject.startsWith(`${asked}/`)) return true;
  return asked.includes('/') && /^-\d+$/.test(subject.slice(asked.length)) && subject.startsWith(asked);
}
