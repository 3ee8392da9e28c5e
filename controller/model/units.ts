const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const MILLISECONDS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const AMOUNT = /^(\d+(?:\.\d+)?)(MiB|GiB|TiB)$/;
const MEBIBYTES = { MiB: 1, GiB: 1024, TiB: 1024 * 1024 } as const;

/** `500ms`, `5s`, `10m`, `1h` → milliseconds; null for anything else. */
export function parseDurationMs(text: string): number | null {
  const [, figure, unit] = DURATION.exec(text) ?? [];
  if (figure === undefined) return null;
  return Math.round(Number(figure) * MILLISECONDS[unit as keyof typeof MILLISECONDS]);
}

/** `768MiB`, `1.5GiB`, `1TiB` → MiB; null for anything else. */
export function parseMebibytes(text: string): number | null {
  const [, figure, unit] = AMOUNT.exec(text) ?? [];
  if (figure === undefined) return null;
  return Math.round(Number(figure) * MEBIBYTES[unit as keyof typeof MEBIBYTES]);
}
