import type { DiskCopies } from '../disks/disk-copies.ts';
import { diskKeyOf } from '../executor/disk-key.ts';
import { WeftError } from '../kit/errors.ts';
import type { Goal, MigrationReport, VmGoal } from '../protocol/index.ts';
import { keyOf } from './key.ts';

type DiskWord = Extract<MigrationReport, { role: 'disk' }>;

/** What the disks of machines are like that are to leave this host with them: looked at once for each move. */
export class MeasuredDisks {
  readonly #copies: Pick<DiskCopies, 'measure'>;
  readonly #onChange: () => void;
  /** Null: it is being looked at. */
  readonly #words = new Map<string, DiskWord | null>();

  constructor(copies: Pick<DiskCopies, 'measure'>, onChange: () => void) {
    this.#copies = copies;
    this.#onChange = onChange;
  }

  follow(goal: Goal): void {
    const wanted = new Map((goal.measured ?? []).map((each) => [keyOf(each), each]));
    for (const key of this.#words.keys()) if (!wanted.has(key)) this.#words.delete(key);
    for (const [key, { id, incarnation }] of wanted) {
      const vm = goal.vms.find((each) => each.id === id);
      if (!vm || this.#words.has(key)) continue;
      this.#words.set(key, null);
      void this.#measure(vm, incarnation).then((word) => {
        if (!this.#words.has(key)) return;
        this.#words.set(key, word);
        this.#onChange();
      });
    }
  }

  report(): DiskWord[] {
    return [...this.#words.values()].flatMap((word) => word ?? []);
  }

  async #measure(vm: VmGoal, incarnation: number): Promise<DiskWord> {
    const word = { role: 'disk', id: vm.id, incarnation } as const;
    try {
      return { ...word, disk: await this.#copies.measure(diskKeyOf(vm)) };
    } catch (error) {
      return { ...word, message: WeftError.from(error).message.slice(0, 1024) };
    }
  }
}
