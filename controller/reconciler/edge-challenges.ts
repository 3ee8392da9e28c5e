import {
  CHALLENGE_PORT,
  type EdgeGoal,
  isChallengeEndpoint,
  type PublishedEndpoint,
} from '../../agent/protocol/index.ts';
import { isApart } from '../model/public-address.ts';
import type { ApplicationRecord, ChallengeRecord } from '../model/records.ts';
import { publishedBy } from './edge-endpoints.ts';

export const challengePort = CHALLENGE_PORT;

/** Challenges that a host's load balancer answers: all of them, for nobody says which name is whose. */
export function challengesFor(
  endpoints: readonly PublishedEndpoint[],
  challenges: ReadonlyMap<string, ChallengeRecord> | undefined,
): Pick<EdgeGoal, 'challenges'> {
  if (!challenges || challenges.size === 0 || !endpoints.some(isChallengeEndpoint)) return {};
  return {
    challenges: [...challenges.values()]
      .map(({ token, authorization }) => ({ token, authorization }))
      .sort((one, other) => (one.token < other.token ? -1 : 1)),
  };
}

/** Whether challenges are answered at the address at which this role's or machine's endpoints are. */
export function answersChallenges(application: ApplicationRecord, owner: string): boolean {
  return publishedBy(application).some(
    (each) =>
      (isApart(application, each.owner) || isApart(application, owner) ? each.owner === owner : true) &&
      isChallengeEndpoint(each.endpoint),
  );
}

/** Ids of the endpoints where challenges are answered. */
export const challengeEndpoints = (applications: readonly ApplicationRecord[]): readonly string[] =>
  applications.flatMap((application) =>
    publishedBy(application)
      .filter(({ endpoint }) => isChallengeEndpoint(endpoint))
      .map(({ owner, name }) => `${application.name}/${owner}/${name}`),
  );
