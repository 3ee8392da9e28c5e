import { stat } from 'node:fs/promises';

/** Whether there is anything under this path, links followed. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
