import { createHash } from 'node:crypto';
import type { Machine, PackageRef, Role } from '../model/service.ts';

const digestOf = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');

/** What an instance is made from. How many there are is not part of it. */
export function roleDefinition(role: Role, applicationPackage: PackageRef | null): string {
  const { instances: _instances, updateDomains: _updateDomains, ...made } = role;
  return digestOf({ ...made, package: made.package ?? applicationPackage });
}

/** What a machine is made from; its disk stays whatever becomes of the rest. */
export const machineDefinition = (machine: Machine): string => digestOf(machine.size);
