import { WeftError } from '../../agent/kit/errors.ts';
import { servingEdges } from '../reconciler/edge-endpoints.ts';
import { type DeclaredFlow, EDGE, flowsOf, networkNameOf } from '../reconciler/flows.ts';
import type { NetworkWorld } from '../reconciler/network-world.ts';
import { roleOf } from '../reconciler/retired.ts';
import { notCarried } from './cut-off.ts';
import { type End, endOf, guestsOf, type Inside } from './ends.ts';
import { homeOf, isLinkLocal, refuseUnused } from './outer-ends.ts';
import { outward, type Verdict } from './outward.ts';
import { publishedAt } from './public-ends.ts';
import { endpointOwner, type GuestView, guestView, type PublishedView, publishedViews } from './view.ts';

export interface Question {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface WhyAnswer extends Verdict {
  readonly question: Question;
  /** Hosts whose routers decide: those of both ends, or edge hosts. */
  readonly hosts: readonly string[];
  readonly from: readonly GuestView[];
  readonly to: readonly GuestView[];
}

/** Whether a connection passes, by what is declared. @throws WeftError `not-found` for an end that there is not, `bad-request`. */
export function whyOf(question: Question, world: NetworkWorld): WhyAnswer {
  const [from, asked] = [endOf(question.from, world), endOf(question.to, world)];
  if (from.kind === 'world') for (const end of [from, asked]) refuseUnused(end, world);
  const at =
    from.kind === 'world' && asked.kind === 'world' && asked.address !== null
      ? publishedAt(asked.address, question, world)
      : null;
  const to = at && 'end' in at ? at.end : asked;
  const home = homeOf(from, to, world);
  const declared = at && 'reason' in at ? dropped(at.reason) : decide(from, to, home, question, world);
  const edges = home ? [home.host] : from.kind === 'world' ? edgesOf(world) : [];
  const own = [...guestsOf(from), ...guestsOf(to)].flatMap(({ host }) => host ?? []);
  const obstacle =
    declared.allowed && to.kind !== 'world'
      ? notCarried(from.kind === 'world' ? edges : placesOf(guestsOf(from)), placesOf(guestsOf(to)), world)
      : null;
  const verdict = obstacle === null ? declared : { ...declared, allowed: false, reason: obstacle };
  return {
    ...verdict,
    question,
    hosts: [...new Set([...own, ...edges])].sort(),
    from: guestsOf(from).map((vm) => guestView(vm, world)),
    to: guestsOf(to).map((vm) => guestView(vm, world)),
  };
}

const placesOf = (guests: ReturnType<typeof guestsOf>): readonly string[] =>
  guests.flatMap(({ host }) => host ?? []);

function decide(
  from: End,
  to: End,
  home: ReturnType<typeof homeOf>,
  question: Question,
  world: NetworkWorld,
): Verdict {
  if (from.kind === 'world') {
    if (to.kind === 'world')
      throw new WeftError('bad-request', 'both ends are outside of the fleet', {
        remedy: 'At least one end is an instance, a machine, a role, or a public address of an application.',
      });
    if (isLinkLocal(from)) return dropped('one end is link-local: nothing from there passes a router');
    if (home)
      return {
        allowed: true,
        rule: null,
        reason: `${home.host} is the host of ${home.guests.join(', ')}, and reaches its own guests`,
      };
    return inward(to, question, world);
  }
  if (to.kind === 'world') return outward(from, to.address, world);
  if (from.app !== to.app)
    return dropped(`nothing leads from one application to another: ${from.app} and ${to.app}`);
  if (from.kind === 'guest' && to.kind === 'guest' && from.vm.id === to.vm.id)
    return {
      allowed: true,
      rule: null,
      reason: `${from.vm.id} is both ends: nothing of it leaves the guest`,
    };
  return between(from, to, question, world);
}

const dropped = (reason: string): Verdict => ({ allowed: false, rule: null, reason });
const nameOf = (end: Inside) => (end.kind === 'guest' ? end.vm.id : `${end.app}/${end.subnet}`);
const flowText = ({ protocol, port }: Pick<DeclaredFlow, 'protocol' | 'port'>) =>
  protocol === 'any' ? 'everything' : `${protocol} ${port}`;

function between(from: Inside, to: Inside, question: Question, world: NetworkWorld): Verdict {
  const application = world.applications.get(to.app);
  const [source, target] = [`${from.app}/${from.subnet}`, `${to.app}/${to.subnet}`];
  const inwards = application ? flowsOf(application).filter((flow) => leadsTo(flow, to, target)) : [];
  const matching = inwards.filter((flow) => covers(flow, question));
  const found = matching.find((flow) => flow.from.includes(source));
  if (found) {
    const how = found.protocol === 'any' ? 'mesh: true' : `its endpoint ${found.id}`;
    const only = found.guest !== undefined && to.kind === 'subnet' ? `, of ${found.guest} alone` : '';
    return { allowed: true, rule: found.id, reason: `${how} lets ${source} in${only}` };
  }
  if (source === target && roleOf(application, to.subnet))
    return dropped(`guests of ${target} do not reach each other: its role has no mesh: true`);
  const alone = source === target ? aloneOn(to, world) : null;
  if (alone !== null)
    return dropped(`${alone} is the only machine on ${target}: nobody else is there to be let in`);
  const other = matching.find((flow) => flow.protocol !== 'any');
  if (other) return dropped(`${other.id} lets in ${listed(other.from.map(originText))} only`);
  const published =
    question.protocol === 'tcp'
      ? publishedOf(to, world).find((each) => portsOf(each, to).includes(question.port))
      : undefined;
  if (published)
    return dropped(
      `port ${question.port} is where load balancers publish ${published.id}, which guests do not reach: an internal endpoint of ${nameOf(to)} would let ${source} in`,
    );
  const known = inwards.filter((flow) => flow.from.includes(source)).map(flowText);
  return dropped(
    `no endpoint of ${nameOf(to)} is declared for ${flowText(question)}; ${source} may use ${listed(known)}`,
  );
}

/** The machine that has a network to itself; null: several do, or none. */
function aloneOn({ app, subnet }: Inside, { vms }: NetworkWorld): string | null {
  const [first, ...others] = [...vms.values()].filter(({ networkId }) => networkId === `${app}/${subnet}`);
  return first && others.length === 0 ? first.id : null;
}

const originText = (from: string) => (from === EDGE ? 'load balancers' : from);

const leadsTo = (flow: DeclaredFlow, to: Inside, target: string): boolean =>
  flow.to === target && (flow.guest === undefined || to.kind === 'subnet' || flow.guest === to.vm.id);

const covers = (flow: DeclaredFlow, { protocol, port }: Question): boolean =>
  flow.protocol === 'any' || (flow.protocol === protocol && flow.port === port);

const listed = (items: readonly string[]): string => (items.length === 0 ? 'nothing' : items.join(', '));

const edgesOf = ({ hosts }: NetworkWorld) => servingEdges([...hosts.values()]).map(({ name }) => name);

/** What is published of an end: of a network, of every machine on it. */
function publishedOf(to: Inside, world: NetworkWorld): readonly PublishedView[] {
  const application = world.applications.get(to.app);
  const isRole = to.kind === 'guest' ? to.vm.role !== null : roleOf(application, to.subnet) !== undefined;
  const machines = Object.entries(application?.service.machines ?? {})
    .filter(([, machine]) => networkNameOf(machine) === to.subnet)
    .map(([name]) => `${to.app}/${name}`);
  const owners = new Set(
    isRole
      ? [`${to.app}/${to.subnet}`]
      : to.kind === 'guest'
        ? [to.vm.id]
        : [...machines, ...to.guests.map(({ id }) => id)],
  );
  return publishedViews(to.app, world).filter((view) => owners.has(endpointOwner(view)));
}

/** Of instances that have one each, those of the instances that are asked for. */
const portsOf = ({ type, port }: PublishedView, to: Inside): readonly number[] =>
  type === 'input' ? [port] : guestsOf(to).flatMap(({ index }) => (index === null ? [] : [port + index]));

/** By load balancers only: what is published, under the port that it is published with. */
function inward(to: Inside, { port, protocol }: Question, world: NetworkWorld): Verdict {
  const all = publishedOf(to, world);
  const found = protocol === 'tcp' ? all.find((each) => portsOf(each, to).includes(port)) : undefined;
  const edges = edgesOf(world);
  if (!found) {
    const owner = to.kind === 'guest' && to.vm.role === null ? to.vm.id : `${to.app}/${to.subnet}`;
    const published = all.flatMap((each) => portsOf(each, to).map((each_) => `tcp ${each_} (${each.id})`));
    return dropped(
      `the world reaches what is published, through a load balancer: of ${owner} ${listed(published)}`,
    );
  }
  if (world.applications.get(to.app)?.deleting)
    return { allowed: false, rule: found.id, reason: `${to.app} is being deleted` };
  if (edges.length === 0)
    return {
      allowed: false,
      rule: found.id,
      reason: `${found.id} is published, but no edge host is up`,
    };
  return {
    allowed: true,
    rule: found.id,
    reason: `${found.id} is published by load balancers on ${edges.join(', ')}`,
  };
}
