import { WeftError } from '../../agent/kit/errors.ts';

/** The error that something was refused with. @throws when it was not refused. */
export async function refusal(work: Promise<unknown>): Promise<WeftError> {
  const error = await work.then(
    (answer) => answer,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof WeftError)) throw new Error(`was not refused: ${JSON.stringify(error)}`);
  return error;
}
