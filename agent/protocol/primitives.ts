import { z } from 'zod';
import { DIGEST_PATTERN, NAME_PATTERN, VM_ID_PATTERN } from '../kit/names.ts';

export const name = z.string().regex(NAME_PATTERN);
export const digest = z.string().regex(DIGEST_PATTERN);
export const vmId = z.string().regex(VM_ID_PATTERN);
export const uuid = z.uuid();
export const mac = z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
export const ipv4 = z.ipv4();
export const ipv6 = z.ipv6();
export const ipAddress = z.union([ipv4, ipv6]);
export const cidrv4 = z.cidrv4();
export const cidrv6 = z.cidrv6();
/** Unix time in milliseconds. */
export const timeMs = z.number().int().nonnegative();
export const count = z.number().int().nonnegative();
export const port = z.number().int().min(1).max(65_535);
/** The protocol this build speaks. A peer one older or newer still works: unknown fields are ignored. */
export const PROTOCOL_VERSION = 1;
