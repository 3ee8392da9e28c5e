import { digestOf } from '../../agent/kit/digest.ts';
import { WeftError } from '../../agent/kit/errors.ts';
import type { CertificateFile, Goal } from '../../agent/protocol/index.ts';
import type { CertificateFiles } from '../certificates/contract.ts';

/** A certificate with its key, for a host that asks: only one that its newest goal names, by the digest that is named there. */
export async function certificateForHost(
  goal: Goal | null,
  files: Pick<CertificateFiles, 'read'>,
  asked: { readonly host: string; readonly name: string; readonly digest: string | null },
): Promise<CertificateFile> {
  const { host, name } = asked;
  const wanted = goal?.edge?.certificates?.find((each) => each.name === name);
  if (!wanted || wanted.digest !== asked.digest)
    throw new WeftError('forbidden', `host ${host} is to have no such certificate`);
  const pem = await files.read(name);
  if (pem === null || digestOf(pem) !== wanted.digest)
    throw new WeftError(
      'not-found',
      `the controller’s file of certificate ${name} is not the one that it knows of`,
      {
        remedy: `Put it there again: weft certificate put ${name} --file FILE`,
      },
    );
  return { digest: wanted.digest, pem };
}
