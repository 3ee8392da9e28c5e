import { TINY } from './golden-lab.ts';

/** The application of the tests in which hosts die: two instances, and a machine with its disk in the pool that hosts share. */
export const DB = 'shop/db';
export const SHOP = `
apiVersion: weft/v1
kind: Application
name: shop
roles:
  worker: {kind: worker, image: "tiny:stable", size: ${TINY}, instances: 2}
machines:
  db: {image: "tiny:stable", size: ${TINY}, pool: san}
`;
