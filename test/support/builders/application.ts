import type { ApplicationRecord, Machine, Role, Service, Size } from '../../../controller/model/index.ts';

export const TINY_SIZE: Size = {
  name: 'custom',
  cpus: 1,
  memoryMiB: 128,
  diskMiB: 256,
  cpuQuotaPercent: null,
};

/** What the world may come to by HTTP, of a role or a machine. */
export const AN_INPUT = {
  type: 'input',
  protocol: 'http',
  port: 80,
  targetPort: 8080,
  from: [],
  drainMs: 20_000,
} as const;

export const AN_HTTPS = {
  type: 'input',
  protocol: 'http',
  port: 443,
  targetPort: 8080,
  from: [],
  certificate: 'shop',
} as const;

/** A worker role of one tiny instance, unless told otherwise. */
export function aRole(overrides: Partial<Role> = {}): Role {
  return {
    kind: 'worker',
    image: 'tiny:stable',
    size: TINY_SIZE,
    instances: 1,
    updateDomains: 1,
    site: null,
    start: null,
    env: {},
    startup: [],
    endpoints: {},
    package: null,
    pool: null,
    ...overrides,
  };
}

export function aMachine(overrides: Partial<Machine> = {}): Machine {
  return { image: 'tiny:stable', size: TINY_SIZE, pool: 'local', ...overrides };
}

export function aService(name: string, overrides: Partial<Omit<Service, 'name'>> = {}): Service {
  return { name, package: null, roles: { web: aRole() }, machines: {}, ...overrides };
}

export function anApplication(
  name = 'crm',
  service: Partial<Omit<Service, 'name'>> = {},
  overrides: Partial<ApplicationRecord> = {},
): ApplicationRecord {
  return {
    name,
    service: aService(name, service),
    source: '',
    generation: 1,
    createdAtMs: 0,
    deleting: false,
    ...overrides,
  };
}
