import type { ClaimsRecord, VmRecord } from '../../../../controller/model/index.ts';
import type { Commit, Fabric, Rule } from './rule.ts';

/** Every placed VM has exactly its claim. */
export class Claims implements Rule {
  readonly #fabric: Fabric;
  /** `host id@incarnation` of every VM and successor that has a place, and of every claim. */
  readonly #placed = new Map<string, readonly string[]>();
  readonly #claimed = new Map<string, readonly string[]>();
  readonly #unmatched = new Map<string, number>();

  constructor(fabric: Fabric) {
    this.#fabric = fabric;
  }

  committed({ vms, hosts, claims }: Commit): void {
    const { records } = this.#fabric;
    for (const host of claims) {
      this.#follow(this.#claimed, host, claimedOn(host, records.claims.get(host)), -1);
    }
    for (const id of vms) this.#follow(this.#placed, id, placesOf(records.vm(id)), 1);
    if (vms.size + hosts.size > 0) this.#check();
  }

  #follow(book: Map<string, readonly string[]>, entry: string, now: readonly string[], sign: 1 | -1): void {
    for (const key of book.get(entry) ?? []) this.#count(key, -sign);
    for (const key of now) this.#count(key, sign);
    if (now.length === 0) book.delete(entry);
    else book.set(entry, now);
  }

  /** Counts a placement up and its claim down: where they match, nothing is left over. */
  #count(key: string, by: number): void {
    const left = (this.#unmatched.get(key) ?? 0) + by;
    if (left === 0) this.#unmatched.delete(key);
    else this.#unmatched.set(key, left);
  }

  #check(): void {
    if (this.#unmatched.size === 0) return;
    const of = (sign: number) =>
      [...this.#unmatched].filter(([, left]) => left * sign > 0).map(([key]) => key);
    this.#fabric.violated(notMatching(of(1), of(-1)));
  }
}

export const placesOf = (vm: VmRecord | undefined): readonly string[] =>
  [vm, vm?.successor].flatMap((each) =>
    vm && each && each.host !== null ? [`${each.host} ${vm.id}@${each.incarnation}`] : [],
  );

export const claimedOn = (host: string, claims: ClaimsRecord | undefined): readonly string[] =>
  Object.keys(claims?.vms ?? {}).map((key) => `${host} ${key}`);

export const notMatching = (placed: readonly string[], claimed: readonly string[]): string =>
  `every placed VM has exactly its claim: placed without one ${placed.join(', ')}; claimed for nothing ${claimed.join(', ')}`;
