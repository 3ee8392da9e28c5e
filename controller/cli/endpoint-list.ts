import type { Context } from './context.ts';
import { paintState, printRows } from './output.ts';

/** Published endpoints of one application, or of all. @returns the exit code. */
export async function showEndpoints(context: Context, app: string | undefined): Promise<number> {
  const client = await context.client();
  const names = app === undefined ? (await client.listApplications()).map(({ name }) => name) : [app];
  const applications = await Promise.all(names.map((name) => client.getApplication(name)));
  const rows = applications.flatMap(({ endpoints }) => endpoints);
  printRows(
    context,
    rows,
    ['endpoint', 'state', 'address', 'port', 'on', 'up', 'draining', 'sessions', 'connections', 'in', 'out'],
    ({ backends, ...row }) => [
      row.id,
      paintState(row.state),
      row.addresses.join(' ') || null,
      row.port,
      row.host,
      `${backends.filter(({ state }) => state === 'up').length}/${backends.length}`,
      backends.filter(({ state }) => state === 'draining').length,
      backends.reduce((total, { sessions }) => total + sessions, 0),
      row.connections,
      row.bytesIn,
      row.bytesOut,
    ],
  );
  if (context.json) return 0;
  for (const { id, reason } of rows) if (reason !== undefined) context.say(`${id}: ${reason}`);
  return 0;
}
