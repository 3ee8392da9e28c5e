import { createHash } from 'node:crypto';
import type { Endpoint, Machine, PackageRef, Role } from '../model/service.ts';

const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What an instance is made from. How many there are is not part of it, nor what routers and load balancers do around it. */
export function roleDefinition(role: Role, applicationPackage: PackageRef | null): string {
  const {
    instances: _instances,
    updateDomains: _updateDomains,
    mesh: _mesh,
    outbound: _outbound,
    ...made
  } = role;
  const endpoints = Object.fromEntries(
    Object.entries(made.endpoints).map(([name, each]) => [name, inside(each, made.site !== null)]),
  );
  return digestOf({ ...made, endpoints, package: made.package ?? applicationPackage });
}

/** In this order of its fields it was digested before there were others. @param isServed by Weft's own web server. */
function inside(endpoint: Endpoint, isServed: boolean) {
  const {
    certificate: _certificate,
    certificateNames: _certificateNames,
    proxyProtocol,
    limit: _limit,
    drainMs: _drainMs,
    ...made
  } = endpoint;
  // Its web server, and what looks whether it works, go by it from its start.
  const isProbed = made.probe !== undefined && made.probe.check.type !== 'exec';
  const isPart = proxyProtocol === true && (isServed || isProbed);
  return isPart ? { ...made, proxyProtocol } : made;
}

/** What a machine is made from; its disk stays whatever becomes of the rest. */
export const machineDefinition = (machine: Machine): string => digestOf(machine.size);
