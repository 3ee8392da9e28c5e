import { WeftError } from '../kit/errors.ts';
import type { DomainMark } from './driver.ts';

/** @throws WeftError `forbidden` for what is not of this fleet. */
export function requireOurs<Mark extends { readonly fleet: string }>(
  what: string,
  mark: Mark | null,
  fleet: string,
): Mark {
  if (mark?.fleet === fleet) return mark;
  throw new WeftError('forbidden', `${what} is not of this fleet and is left alone`);
}

/** @throws WeftError `conflict` unless both marks are of one life of one VM; its reboot generation may differ. */
export function requireSameLife(name: string, present: DomainMark, wanted: DomainMark): void {
  const keys = ['fleet', 'id', 'incarnation', 'kind'] as const;
  if (keys.every((key) => present[key] === wanted[key])) return;
  throw new WeftError(
    'conflict',
    `${name} is there as incarnation ${present.incarnation} of ${present.kind} ${present.id}, not ${wanted.incarnation} of ${wanted.kind} ${wanted.id}`,
  );
}
