import type { Refused } from './haproxy.ts';

const REASON_CHARACTERS = 400;

/**
 * Which endpoints HAProxy means by the lines of its configuration that it complains about, as `[…/haproxy.cfg:12]`, and why; `others` has what
 * it says of none. @param lines the endpoint on each line.
 */
export function refusedLines(complaints: string, lines: readonly (string | null)[]): Refused {
  const endpoints = new Map<string, string>();
  for (const complaint of complaints.split('\n')) {
    const [, line, why] = /^\[ALERT\].*?\[[^\]]*:(\d+)\]\s*:?\s*(.*)$/.exec(complaint) ?? [];
    const id = line === undefined ? null : lines[Number(line) - 1];
    if (id && why && !endpoints.has(id)) endpoints.set(id, why.slice(0, REASON_CHARACTERS));
  }
  if (endpoints.size > 0) return { endpoints, others: null };
  const last = complaints.trim().split('\n').at(-1) || 'it does not start';
  return { endpoints, others: `the load balancer: ${last}`.slice(0, REASON_CHARACTERS) };
}
