import { isIP } from 'node:net';

export const OUTCOMES = ['connected', 'refused', 'silent', 'no-route', 'no-program'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const OUTCOME_TEXTS: Readonly<Record<Outcome, string>> = {
  connected: 'connected',
  refused: 'refused: it was reached, and nothing listens there',
  silent: 'no answer: dropped on its way, or nobody is there',
  'no-route': 'no route: the guest has none, or its host answers so for a guest that no rule joins it with',
  'no-program': 'not tried: the guest has neither a netcat nor bash',
};

const LIMIT_SECONDS = 5;

/**
 * A script for a guest's /bin/sh that opens one TCP connection and says on stdout what became of it, in one word. Netcats differ: some
 * can only look (-z), busybox's has a program do something once it is connected (-e).
 * @param address only digits, letters, dots and colons: nothing else comes into the script.
 */
export function probeScript(address: string, port: number): string {
  if (isIP(address) === 0 || address.includes('%') || !Number.isInteger(port))
    throw new TypeError('a probe goes to an address and a port');
  return [
    `a=${address}; p=${port}; t=${LIMIT_SECONDS}`,
    'h=$(nc --help 2>&1; nc -h 2>&1)',
    'case "$h" in',
    '  *-z*) o=$(nc -z -w $t $a $p 2>&1 </dev/null) ;;',
    '  *"-e PROG"*) o=$(nc -w $t $a $p -e true 2>&1 </dev/null) ;;',
    '  *) command -v bash >/dev/null || { echo no-program; exit 0; }',
    '     o=$(timeout $t bash -c "exec 3<>/dev/tcp/$a/$p" 2>&1 </dev/null) ;;',
    'esac',
    '[ $? = 0 ] && { echo connected; exit 0; }',
    'case "$o" in',
    '  *[Rr]efused*) echo refused ;;',
    '  *unreachable*|*"No route"*) echo no-route ;;',
    '  *) echo silent ;;',
    'esac',
  ].join('\n');
}

/** Null: the guest said something else, or nothing. */
export const outcomeOf = (stdout: string): Outcome | null =>
  OUTCOMES.find((outcome) => stdout.trim() === outcome) ?? null;
