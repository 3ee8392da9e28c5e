/** DHCPv6 on the wire: https://www.rfc-editor.org/rfc/rfc8415 */
export const MESSAGE = {
  solicit: 1,
  advertise: 2,
  request: 3,
  confirm: 4,
  renew: 5,
  rebind: 6,
  reply: 7,
  release: 8,
  decline: 9,
  informationRequest: 11,
} as const;

export const OPTION = {
  clientId: 1,
  serverId: 2,
  nonTemporary: 3,
  address: 5,
  optionRequest: 6,
  preference: 7,
  status: 13,
  rapidCommit: 14,
  /** RFC 3646. */
  nameServers: 23,
  delegation: 25,
} as const;

export interface Dhcp6Option {
  readonly code: number;
  readonly data: Buffer;
}

export interface Dhcp6Message {
  readonly type: number;
  /** Three bytes, which an answer has as well. */
  readonly transaction: Buffer;
  readonly options: readonly Dhcp6Option[];
}

const HEAD_BYTES = 4;

/** @returns null: it is none. */
export function parseMessage(bytes: Buffer): Dhcp6Message | null {
  if (bytes.length < HEAD_BYTES) return null;
  const options = parseOptions(bytes.subarray(HEAD_BYTES));
  return options && { type: bytes.readUInt8(0), transaction: bytes.subarray(1, HEAD_BYTES), options };
}

/** @returns null: one of them is longer than what there is. */
export function parseOptions(bytes: Buffer): readonly Dhcp6Option[] | null {
  const options: Dhcp6Option[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + HEAD_BYTES > bytes.length) return null;
    const end = at + HEAD_BYTES + bytes.readUInt16BE(at + 2);
    if (end > bytes.length) return null;
    options.push({ code: bytes.readUInt16BE(at), data: bytes.subarray(at + HEAD_BYTES, end) });
    at = end;
  }
  return options;
}

export const composeMessage = ({ type, transaction, options }: Dhcp6Message): Buffer =>
  Buffer.concat([Buffer.from([type]), transaction, ...options.map(composeOption)]);

export function composeOption({ code, data }: Dhcp6Option): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(code, 0);
  head.writeUInt16BE(data.length, 2);
  return Buffer.concat([head, data]);
}
