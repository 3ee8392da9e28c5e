import type { EndpointRow } from '../client/index.ts';
import type { Context } from './context.ts';
import { paint, paintState, printRows } from './output.ts';

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
    (row) => [
      row.id,
      isIdle(row) ? paint('yellow', row.state) : paintState(row.state),
      // One below the other: two addresses of IPv6 are wider than many a terminal has room for.
      row.addresses.join('\n') || null,
      row.port,
      row.host,
      `${countOf('up', row)}/${row.backends.length}`,
      countOf('draining', row),
      row.backends.reduce((total, { sessions }) => total + sessions, 0),
      row.connections,
      row.bytesIn,
      row.bytesOut,
    ],
  );
  if (context.json) return 0;
  for (const row of rows) {
    if (row.reason !== undefined) context.say(`${row.id}: ${row.reason}`);
    if (isIdle(row)) context.say(`${row.id}: no backend is up, so clients are not answered`);
  }
  return 0;
}

const countOf = (state: string, { backends }: EndpointRow) =>
  backends.filter((each) => each.state === state).length;

/** Load balancers have it, and nobody to give connections to. One that drains still has those that it has. */
const isIdle = (row: EndpointRow): boolean =>
  row.state === 'served' && countOf('up', row) + countOf('draining', row) === 0;
