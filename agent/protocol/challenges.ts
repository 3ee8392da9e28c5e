import { z } from 'zod';

/** ACME's HTTP-01 comes to this port (RFC 8555, 8.3). */
export const CHALLENGE_PORT = 80;
export const CHALLENGE_PATH = '/.well-known/acme-challenge/';
export const MAXIMUM_CHALLENGES = 256;

/** base64url of at least 128 bits (RFC 8555, 8.1). */
export const CHALLENGE_TOKEN_PATTERN = /^[A-Za-z0-9_-]{22,128}$/;
/** The token, and the SHA-256 of the account's key. */
const AUTHORIZATION_PATTERN = /^([A-Za-z0-9_-]{22,128})\.[A-Za-z0-9_-]{43}$/;

/** Whether this is what the token is answered with. */
export const isAuthorizationOf = (token: string, authorization: string): boolean =>
  AUTHORIZATION_PATTERN.exec(authorization)?.[1] === token;

export const challengeToken = z.string().regex(CHALLENGE_TOKEN_PATTERN);

/** What an ACME server asks for by HTTP-01, and is answered. Public. */
export const challenge = z.object({
  token: challengeToken,
  authorization: z.string().regex(AUTHORIZATION_PATTERN),
});
export type Challenge = z.infer<typeof challenge>;

/** Whether a load balancer answers challenges where this endpoint is. */
export const isChallengeEndpoint = ({
  protocol,
  port,
  certificate,
}: {
  readonly protocol: string;
  readonly port: number;
  readonly certificate?: string | undefined;
}): boolean => protocol === 'http' && port === CHALLENGE_PORT && certificate === undefined;
