import { parse } from 'yaml';

/** Of a model, as its file has it: what says who reaches whom. */
interface Declared {
  readonly name: string;
  readonly roles: Readonly<Record<string, DeclaredRole>>;
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
  readonly role: string;
}

/** Who reaches whom, said from models' files as the manual says it, and by nothing that Weft itself goes by. */
export class Declarations {
  readonly #roles = new Map<string, DeclaredRole>();

  /** @param files models, YAML. */
  constructor(files: readonly string[]) {
    for (const file of files) {
      const { name, roles } = parse(file) as Declared;
      for (const [role, declared] of Object.entries(roles)) this.#roles.set(`${name}/${role}`, declared);
    }
  }

  get places(): readonly Place[] {
    return [...this.#roles.keys()].map((id) => {
      const [app = '', role = ''] = id.split('/');
      return { app, role };
    });
  }

  letThrough(from: Place, to: Place, port: number, protocol: 'tcp' | 'udp' = 'tcp'): boolean {
    const target = this.#roles.get(`${to.app}/${to.role}`);
    if (!target) throw new Error(`no model has ${to.app}/${to.role}`);
    if (from.app !== to.app) return false;
    if (from.role === to.role) return target.mesh === true;
    return Object.values(target.endpoints ?? {}).some(
      (endpoint) =>
        endpoint.type === 'internal' &&
        (endpoint.targetPort ?? endpoint.port) === port &&
        (endpoint.protocol ?? 'tcp') === protocol &&
        (endpoint.from === undefined || endpoint.from.includes(from.role)),
    );
  }
}
