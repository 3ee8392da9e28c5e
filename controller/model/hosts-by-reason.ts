interface Told {
  readonly host: string;
  readonly reason: string;
}

/** Reason → the hosts that have it: those with one reason are told together. In the order in which they come. */
export function hostsByReason(told: readonly Told[]): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>();
  for (const { host, reason } of told) hosts.set(reason, [...(hosts.get(reason) ?? []), host]);
  return hosts;
}
