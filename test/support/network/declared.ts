import { parse } from 'yaml';

/** Of a model, as its file has it: what says who reaches whom. */
interface Declared {
  readonly name: string;
  readonly roles: Readonly<Record<string, DeclaredRole>>;
  readonly machines?: Readonly<Record<string, DeclaredMachine>>;
}
interface DeclaredMachine {
  readonly network: string;
  readonly endpoints?: Readonly<Record<string, DeclaredEndpoint>>;
}
interface DeclaredRole {
  readonly mesh?: boolean;
  readonly endpoints?: Readonly<Record<string, DeclaredEndpoint>>;
}
interface DeclaredEndpoint {
  readonly type: string;
  readonly protocol?: string;
  readonly port: number;
  readonly targetPort?: number;
  readonly from?: readonly string[];
}

/** Where a guest belongs. */
export interface Place {
  readonly app: string;
  /** Or the network of a machine. */
  readonly role: string;
  /** Of a machine that is meant by itself, `app/name`. */
  readonly id?: string;
}

/** Who reaches whom, said from models' files as the manual says it, and by nothing that Weft itself goes by. */
export class Declarations {
  readonly #roles = new Map<string, DeclaredRole>();
  /** By their ids. */
  readonly #machines = new Map<string, DeclaredMachine>();

  /** @param files models, YAML. */
  constructor(files: readonly string[]) {
    for (const file of files) {
      const { name, roles, machines = {} } = parse(file) as Declared;
      for (const [role, declared] of Object.entries(roles)) this.#roles.set(`${name}/${role}`, declared);
      for (const [machine, declared] of Object.entries(machines))
        this.#machines.set(`${name}/${machine}`, declared);
    }
  }

  /** The roles. */
  get places(): readonly Place[] {
    return [...this.#roles.keys()].map((id) => {
      const [app = '', role = ''] = id.split('/');
      return { app, role };
    });
  }

  letThrough(from: Place, to: Place, port: number, protocol: 'tcp' | 'udp' = 'tcp'): boolean {
    const machine = this.#machines.get(to.id ?? '');
    const role = this.#roles.get(`${to.app}/${to.role}`);
    if (!machine && !role) throw new Error(`no model has ${to.app}/${to.role}`);
    if (from.app !== to.app) return false;
    if (!machine && from.role === to.role) return role?.mesh === true;
    return Object.values((machine ?? role)?.endpoints ?? {}).some(
      (endpoint) =>
        endpoint.type === 'internal' &&
        (endpoint.targetPort ?? endpoint.port) === port &&
        (endpoint.protocol ?? 'tcp') === protocol &&
        (endpoint.from === undefined || endpoint.from.includes(from.role)),
    );
  }
}
