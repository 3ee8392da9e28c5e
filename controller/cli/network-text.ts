import type { NetworkView } from '../client/types.ts';
import { table } from './output.ts';

type Flow = NetworkView['flows'][number];

const passes = ({ protocol, port }: Pick<Flow, 'protocol' | 'port'>) =>
  protocol === 'any' ? 'any' : `${protocol} ${port}`;
type Subnet = NetworkView['subnets'][number];
const reached = (outbound: Subnet['outbound']) =>
  outbound === 'all' ? 'world' : outbound.length === 0 ? 'none' : outbound.join(', ');
const outboundText = ({ outbound, guests }: Subnet) => {
  const own = guests.flatMap((guest) =>
    guest.outbound === undefined ? [] : [`${shortOf(guest)}: ${reached(guest.outbound)}`],
  );
  return own.length === 0 ? reached(outbound) : own.join('; ');
};
const shortOf = ({ id }: { readonly id: string }) => id.slice(id.indexOf('/') + 1);

/** Subnets, what passes, what is published, and names, as four tables. */
export function networkText(view: NetworkView): string {
  const subnets = view.subnets.map((subnet) => {
    const { id, cidr, cidr6, mesh, guests } = subnet;
    return [id, cidr, cidr6, guests.length, mesh ? 'yes' : 'no', outboundText(subnet)];
  });
  const declared = new Set(view.subnets.map(({ id }) => id));
  const flows = view.flows.flatMap((flow) => flow.from.map((from) => arrowRow(from, flow, declared)));
  const published = view.published.map(({ id, type, protocol, port, targetPort, addresses }) => [
    ...[id, addresses.join(' ') || null, publicPort({ type, port }), protocol, targetPort],
    view.edgeHosts.length === 0 ? 'no edge host' : view.edgeHosts.join(', '),
  ]);
  const names = view.names.map(({ name, type, data }) => [name, type, data]);
  return [
    view.deleting ? `${view.app} (deleting): all of it goes as soon as it can\n\n` : '',
    table(['subnet', 'ipv4', 'ipv6', 'guests', 'mesh', 'outbound'], subnets),
    part('Passes; all else is dropped', ['from', '', 'to', 'port', 'declared by'], flows),
    part('Published', ['endpoint', 'address', 'port', 'protocol', 'guest port', 'hosts'], published),
    part(`Names in ${view.zone}`, ['name', 'type', 'data'], names),
    encryptionText(view.encryption),
  ].join('');
}

type Exception = NonNullable<NetworkView['encryption']>['exceptions'][number];

const EXCEPTIONS: Readonly<Record<Exception['state'], string>> = {
  encrypted: 'encrypted',
  open: 'not encrypted',
  alone: 'reaches no other host',
  broken: 'reaches no other host',
  untold: 'may reach no other host',
};

/** Nothing where nobody asks for it. */
function encryptionText(encryption: NetworkView['encryption']): string {
  if (!encryption || (encryption.mode === 'off' && encryption.exceptions.length === 0)) return '';
  const lines = encryption.exceptions.map(
    ({ host, state, problem }) => `  ${host}: ${EXCEPTIONS[state]}, ${problem}\n`,
  );
  const how = encryption.mode === 'off' ? 'not encrypted' : 'encrypted';
  return `\nBetween hosts\n  ${how}${lines.length === 0 ? '' : ', but for'}\n${lines.join('')}`;
}

/** Of instances that have one each, the first one's and how the others follow. */
const publicPort = ({ type, port }: Pick<NetworkView['published'][number], 'type' | 'port'>) =>
  type === 'instance' ? `${port} + index` : port;

const arrowRow = (from: string, flow: Flow, declared: ReadonlySet<string>) => [
  ...[from === 'edge' ? 'load balancers' : from, '→'],
  `${flow.guest ?? flow.to}${declared.has(flow.to) ? '' : ' (not declared any more)'}`,
  ...[passes(flow), flow.id],
];

const part = (
  title: string,
  head: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
) => `\n${title}\n${rows.length === 0 ? '  nothing\n' : table(head, rows)}`;

interface Node {
  readonly id: string;
  readonly label: readonly string[];
}
interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly label: string;
}

/** What a drawing has: nodes under ids of its own, so that no name is ever one of the drawing's words. */
function drawing(view: NetworkView): { readonly nodes: readonly Node[]; readonly arrows: readonly Arrow[] } {
  const ids = new Map<string, string>();
  const idOf = (name: string) => {
    const id = ids.get(name) ?? `n${ids.size}`;
    ids.set(name, id);
    return id;
  };
  const nodes: Node[] = view.subnets.map(({ id, cidr, guests }) => ({
    id: idOf(id),
    label: [
      ...[id, ...namedAs(id.split('/').reverse().join('.'), view), cidr ?? 'not placed'],
      ...guests.map((guest) => `${guest.id} ${guest.address}`),
    ],
  }));
  nodes.push({ id: idOf('world'), label: ['world'] });
  if (view.published.length > 0)
    nodes.push({
      id: idOf('edge'),
      label: [
        ...['load balancers', ...view.edgeHosts, ...namedAs(view.app, view)],
        ...new Set(view.published.flatMap(({ addresses }) => addresses)),
      ],
    });
  const arrows: Arrow[] = view.flows.flatMap((flow) =>
    flow.from.map((from) => ({
      ...{ from: idOf(from), to: idOf(flow.to) },
      // A machine's endpoint opens no other machine on its network.
      label: flow.guest === undefined ? passes(flow) : `${passes(flow)} of ${flow.guest}`,
    })),
  );
  for (const { id, type, port } of view.published)
    arrows.push({ from: idOf('world'), to: idOf('edge'), label: `${publicPort({ type, port })} ${id}` });
  for (const subnet of view.subnets)
    for (const label of outboundLabels(subnet))
      arrows.push({ from: idOf(subnet.id), to: idOf('world'), label });
  // A role that is not declared any more has no subnet to show, while what is left of it is served.
  const known = new Set(nodes.map(({ id }) => id));
  for (const [name, id] of ids)
    if (!known.has(id)) nodes.push({ id, label: [name, 'not declared any more'] });
  // Two endpoints may lead to one port of one guest.
  const distinct = new Map(arrows.map((each) => [JSON.stringify(each), each]));
  return { nodes, arrows: [...distinct.values()] };
}

/** One for all of a subnet, or one for each guest that reaches anything. */
function outboundLabels({ outbound, guests }: Subnet): readonly string[] {
  const shared = outbound === 'all' ? [''] : outbound.length > 0 ? [outbound.join(', ')] : [];
  const own = guests.flatMap((guest) =>
    guest.outbound === undefined || guest.outbound.length === 0
      ? []
      : [`${shortOf(guest)}: ${reached(guest.outbound)}`],
  );
  return [...shared, ...own];
}

const namedAs = (name: string, { names, zone }: NetworkView): readonly string[] =>
  names.some((each) => each.name === `${name}.${zone}`) ? [`${name}.${zone}`] : [];

/** Every character that is not plain as a code of its own (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters). */
const mermaidText = (text: string) =>
  text.replace(/[^A-Za-z0-9 .,:/_+-]/gu, (character) => `#${character.codePointAt(0)};`);

export function mermaid(view: NetworkView): string {
  const { nodes, arrows } = drawing(view);
  const label = (lines: readonly string[]) => `"${lines.map(mermaidText).join('<br/>')}"`;
  return [
    'flowchart LR',
    ...nodes.map((node) => `  ${node.id}[${label(node.label)}]`),
    ...arrows.map((each) => `  ${each.from} -->${each.label ? `|${label([each.label])}|` : ''} ${each.to}`),
    '',
  ].join('\n');
}

/** In a string of DOT a quote and a backslash are escaped (https://graphviz.org/doc/info/lang.html). */
const dotText = (text: string) =>
  text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replace(/\p{Cc}/gu, ' ');

export function dot(view: NetworkView): string {
  const { nodes, arrows } = drawing(view);
  const label = (lines: readonly string[]) => `"${lines.map(dotText).join('\\n')}"`;
  return [
    `digraph ${label([view.app])} {`,
    '  rankdir=LR;',
    '  node [shape=box];',
    ...nodes.map((node) => `  ${node.id} [label=${label(node.label)}];`),
    ...arrows.map((each) => `  ${each.from} -> ${each.to} [label=${label([each.label])}];`),
    '}',
    '',
  ].join('\n');
}
