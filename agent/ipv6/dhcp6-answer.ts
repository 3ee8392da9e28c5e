import {
  composeMessage,
  composeOption,
  type Dhcp6Message,
  type Dhcp6Option,
  MESSAGE,
  OPTION,
  parseMessage,
  parseOptions,
} from './dhcp6-message.ts';

const FOREVER = 0xffff_ffff;
const STATUS = { success: 0, noAddresses: 2, notOnLink: 4, noPrefixes: 6 } as const;
/** Of an identity association: its id, and two times. */
const ASSOCIATION_BYTES = 12;
const ADDRESS_BYTES = 16;
/** The longest DUID (RFC 8415, 11.1), and more associations than anybody has: an answer is hardly larger than its question. */
const LONGEST_ID = 130;
const MOST_ASSOCIATIONS = 8;

export interface Dhcp6Lease {
  /** Of the server, the same on every host and in every life. */
  readonly serverId: Buffer;
  /** The one address that the guest has: 16 bytes. */
  readonly address: Buffer;
  /** Whom it asks for names: 16 bytes. */
  readonly nameServer: Buffer;
}

/**
 * The answer of a server that keeps nothing: who asks is known by where it asks from, and has one address, for ever. So there is nothing to
 * use up, to give back or to refuse in another's name; a guest may call itself as it likes, and ask for whatever it wants.
 * @param bytes of anybody, as they came. @returns null: it is not answered.
 */
export function answerDhcp6(bytes: Buffer, lease: Dhcp6Lease): Buffer | null {
  const asked = parseMessage(bytes);
  const first = (code: number) => asked?.options.find((option) => option.code === code)?.data;
  const clientId = first(OPTION.clientId);
  if (!asked || !isForUs(asked.type, clientId, first(OPTION.serverId), lease)) return null;
  const isRapid = first(OPTION.rapidCommit) !== undefined;
  const options = optionsFor(asked, lease, isRapid);
  return (
    options &&
    composeMessage({
      type: asked.type === MESSAGE.solicit && !isRapid ? MESSAGE.advertise : MESSAGE.reply,
      transaction: asked.transaction,
      options: [
        { code: OPTION.serverId, data: lease.serverId },
        ...(clientId ? [{ code: OPTION.clientId, data: clientId }] : []),
        ...options,
        ...nameServers(asked, lease),
      ],
    })
  );
}

/** What belongs to a guest's configuration is told to those that want it (RFC 8415, 18.3). */
const CONFIGURING: readonly number[] = [
  MESSAGE.solicit,
  MESSAGE.request,
  MESSAGE.renew,
  MESSAGE.rebind,
  MESSAGE.informationRequest,
];

function nameServers({ type, options }: Dhcp6Message, { nameServer }: Dhcp6Lease): readonly Dhcp6Option[] {
  const wanted = options.find(({ code }) => code === OPTION.optionRequest)?.data ?? Buffer.alloc(0);
  const codes = Array.from({ length: wanted.length >> 1 }, (_, index) => wanted.readUInt16BE(2 * index));
  const isWanted = CONFIGURING.includes(type) && codes.includes(OPTION.nameServers);
  return isWanted ? [{ code: OPTION.nameServers, data: nameServer }] : [];
}

/** Which ids a message has to have, and must not have (RFC 8415, 16). */
function isForUs(
  type: number,
  clientId: Buffer | undefined,
  serverId: Buffer | undefined,
  lease: Dhcp6Lease,
): boolean {
  if (clientId !== undefined && (clientId.length === 0 || clientId.length > LONGEST_ID)) return false;
  const isOurs = serverId?.equals(lease.serverId) === true;
  switch (type) {
    case MESSAGE.solicit:
    case MESSAGE.confirm:
    case MESSAGE.rebind:
      return clientId !== undefined && serverId === undefined;
    case MESSAGE.request:
    case MESSAGE.renew:
    case MESSAGE.release:
    case MESSAGE.decline:
      return clientId !== undefined && isOurs;
    case MESSAGE.informationRequest:
      return serverId === undefined || isOurs;
    default:
      return false;
  }
}

/** @returns null: it is not answered. */
function optionsFor(
  { type, options }: Dhcp6Message,
  lease: Dhcp6Lease,
  isRapid: boolean,
): readonly Dhcp6Option[] | null {
  switch (type) {
    case MESSAGE.solicit:
      return [
        // It is to wait for no other server.
        ...(isRapid ? [{ code: OPTION.rapidCommit, data: Buffer.alloc(0) }] : [preference]),
        ...associations(options, lease),
      ];
    case MESSAGE.request:
    case MESSAGE.renew:
    case MESSAGE.rebind:
      return associations(options, lease);
    case MESSAGE.confirm: {
      const held = options.flatMap((option) => addressesIn(option));
      if (held.length === 0) return null;
      return [status(held.every((each) => each.equals(lease.address)) ? STATUS.success : STATUS.notOnLink)];
    }
    case MESSAGE.informationRequest:
      return [];
    default:
      // It has said that it gives its address back, or that somebody else has it. It is this guest's all the same.
      return [status(STATUS.success)];
  }
}

const preference: Dhcp6Option = { code: OPTION.preference, data: Buffer.from([255]) };

/** The first association has the address. What else a guest says that it has, it is told to give up. */
function associations(options: readonly Dhcp6Option[], lease: Dhcp6Lease): readonly Dhcp6Option[] {
  const isAsked = ({ code, data }: Dhcp6Option) =>
    (code === OPTION.nonTemporary || code === OPTION.delegation) && data.length >= ASSOCIATION_BYTES;
  let isGiven = false;
  return options
    .filter(isAsked)
    .slice(0, MOST_ASSOCIATIONS)
    .map((option) => {
      const id = option.data.subarray(0, 4);
      if (option.code === OPTION.delegation)
        return associationOf(option.code, id, [status(STATUS.noPrefixes)]);
      if (isGiven) return associationOf(option.code, id, [status(STATUS.noAddresses)]);
      isGiven = true;
      const others = addressesIn(option).filter((each) => !each.equals(lease.address));
      return associationOf(option.code, id, [
        addressOption(lease.address, FOREVER),
        ...others.slice(0, MOST_ASSOCIATIONS).map((each) => addressOption(each, 0)),
      ]);
    });
}

/** Nobody has to come back for it. */
function associationOf(code: number, id: Buffer, inner: readonly Dhcp6Option[]): Dhcp6Option {
  const times = Buffer.alloc(ASSOCIATION_BYTES - 4, 0xff);
  return { code, data: Buffer.concat([id, times, ...inner.map(composeOption)]) };
}

function addressOption(address: Buffer, lifetime: number): Dhcp6Option {
  const data = Buffer.alloc(ADDRESS_BYTES + 8);
  address.copy(data);
  data.writeUInt32BE(lifetime, ADDRESS_BYTES);
  data.writeUInt32BE(lifetime, ADDRESS_BYTES + 4);
  return { code: OPTION.address, data };
}

function status(code: number): Dhcp6Option {
  const data = Buffer.alloc(2);
  data.writeUInt16BE(code);
  return { code: OPTION.status, data };
}

/** Of an association; what is malformed in it is none. */
function addressesIn({ code, data }: Dhcp6Option): readonly Buffer[] {
  if (code !== OPTION.nonTemporary || data.length < ASSOCIATION_BYTES) return [];
  return (parseOptions(data.subarray(ASSOCIATION_BYTES)) ?? []).flatMap((option) =>
    option.code === OPTION.address && option.data.length >= ADDRESS_BYTES
      ? [option.data.subarray(0, ADDRESS_BYTES)]
      : [],
  );
}
