import type { FleetRecord } from '../model/records.ts';

/**
 * What follows from a value under one fleet's record, for `derived` and for views: one function for each record, by which the answer is
 * remembered. @param workOut pure.
 */
export function ofFleet<V, T>(
  workOut: (value: V, fleet: FleetRecord) => T,
): (fleet: FleetRecord) => (value: V) => T {
  const made = new WeakMap<FleetRecord, (value: V) => T>();
  return (fleet) => {
    const known = made.get(fleet) ?? ((value: V) => workOut(value, fleet));
    made.set(fleet, known);
    return known;
  };
}
