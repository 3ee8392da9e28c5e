import type { Filter } from '../contract.ts';

export const architecture: Filter = {
  name: 'architecture',
  accepts: (request, { host }) => request.architecture === null || request.architecture === host.architecture,
  reason: (request, { host }) => `the image is for ${request.architecture}, the host is ${host.architecture}`,
};
