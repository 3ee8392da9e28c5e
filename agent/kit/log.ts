import { destination, type Logger, pino } from 'pino';

export type { Logger };

/** JSON lines on stderr; `WEFT_LOG_LEVEL` sets the level (default info). Never log a key, a token or a goal's secrets. */
export function createLogger(name: string, level = process.env.WEFT_LOG_LEVEL ?? 'info'): Logger {
  return pino(
    { name, level, redact: ['token', '*.token', '*.privateKey'] },
    destination({ fd: 2, sync: true }),
  );
}
