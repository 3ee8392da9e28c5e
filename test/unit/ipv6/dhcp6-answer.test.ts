import { describe, expect, test } from 'vitest';
import { answerDhcp6 } from '../../../agent/ipv6/dhcp6-answer.ts';
import {
  composeMessage,
  composeOption,
  type Dhcp6Option,
  MESSAGE,
  OPTION,
  parseMessage,
  parseOptions,
} from '../../../agent/ipv6/dhcp6-message.ts';

const lease = {
  serverId: Buffer.from('0003000152540a800401', 'hex'),
  address: Buffer.from('fd123456789a0001000000000000000b', 'hex'),
  nameServer: Buffer.from('fd123456789a00010000000000000001', 'hex'),
};
const FOREIGN = Buffer.from('fd123456789a0001000000000000000c', 'hex');
const clientId = { code: OPTION.clientId, data: Buffer.from('0004aabbccdd', 'hex') };
const serverId = { code: OPTION.serverId, data: lease.serverId };
const rapidCommit = { code: OPTION.rapidCommit, data: Buffer.alloc(0) };
const held = (address: Buffer): Dhcp6Option => ({
  code: OPTION.address,
  data: Buffer.concat([address, Buffer.alloc(8)]),
});
const association = (id: string, ...inner: readonly Dhcp6Option[]): Dhcp6Option => ({
  code: OPTION.nonTemporary,
  data: Buffer.concat([Buffer.from(id, 'hex'), Buffer.alloc(8), ...inner.map(composeOption)]),
});
const one = association('00000001');

const ask = (type: number, ...options: readonly Dhcp6Option[]) => {
  const bytes = composeMessage({ type, transaction: Buffer.from('a1b2c3', 'hex'), options });
  const answer = answerDhcp6(bytes, lease);
  return answer && parseMessage(answer);
};
type Answer = ReturnType<typeof ask>;
const dataOf = (answer: Answer, code: number) => answer?.options.find((each) => each.code === code)?.data;
const statusOf = (answer: Answer) => dataOf(answer, OPTION.status)?.readUInt16BE();
/** Id of an association → what is in it: an address and whether it is to be used, or a status. */
const given = (answer: Answer) =>
  (answer?.options ?? [])
    .filter(({ code }) => code === OPTION.nonTemporary || code === OPTION.delegation)
    .map(({ data }) => [
      data.subarray(0, 4).toString('hex'),
      ...(parseOptions(data.subarray(12)) ?? []).map((each) =>
        each.code === OPTION.address
          ? `${each.data.subarray(0, 16).toString('hex')} ${each.data.readUInt32BE(20) > 0 ? 'valid' : 'gone'}`
          : `status ${each.data.readUInt16BE()}`,
      ),
    ]);
const OWN = `${lease.address.toString('hex')} valid`;

describe('a server of addresses that keeps nothing', () => {
  test('offers the one address, and gives it, to whoever it is asked by under whatever name', () => {
    const offered = ask(MESSAGE.solicit, clientId, one);
    expect(offered).toMatchObject({ type: MESSAGE.advertise, transaction: Buffer.from('a1b2c3', 'hex') });
    expect(dataOf(offered, OPTION.serverId)).toEqual(lease.serverId);
    expect(dataOf(offered, OPTION.clientId)).toEqual(clientId.data);
    expect(given(offered)).toEqual([['00000001', OWN]]);
    expect(ask(MESSAGE.solicit, clientId, rapidCommit, one)?.type).toBe(MESSAGE.reply);
    for (const data of ['00', 'ff'.repeat(130)])
      expect(
        given(ask(MESSAGE.request, { code: OPTION.clientId, data: Buffer.from(data, 'hex') }, serverId, one)),
      ).toEqual([['00000001', OWN]]);
    expect(given(ask(MESSAGE.rebind, clientId, one))).toEqual([['00000001', OWN]]);
  });

  test('gives it once, and nothing else; what else a guest has it is told to give up', () => {
    const prefix = { ...association('00000003'), code: OPTION.delegation };
    const asked = [
      association('00000001', held(FOREIGN), held(lease.address)),
      association('00000002'),
      prefix,
    ];
    expect(given(ask(MESSAGE.renew, clientId, serverId, ...asked))).toEqual([
      ['00000001', OWN, `${FOREIGN.toString('hex')} gone`],
      ['00000002', 'status 2'],
      ['00000003', 'status 6'],
    ]);
  });

  test('names the gateway as the server of names to those that ask for one', () => {
    const request = (...codes: readonly string[]) => ({
      code: OPTION.optionRequest,
      data: Buffer.from(codes.join(''), 'hex'),
    });
    const namedBy = (answer: Answer) => dataOf(answer, OPTION.nameServers);
    const wanted = request('0018', '0017');
    for (const type of [MESSAGE.request, MESSAGE.renew])
      expect(namedBy(ask(type, clientId, serverId, one, wanted))).toEqual(lease.nameServer);
    for (const type of [MESSAGE.solicit, MESSAGE.rebind])
      expect(namedBy(ask(type, clientId, one, wanted))).toEqual(lease.nameServer);
    expect(namedBy(ask(MESSAGE.informationRequest, wanted))).toEqual(lease.nameServer);
    for (const other of [request(), request('0018'), request('0018', '17'), request('1700')])
      expect(namedBy(ask(MESSAGE.solicit, clientId, one, other))).toBeUndefined();
    expect(namedBy(ask(MESSAGE.release, clientId, serverId, one, wanted))).toBeUndefined();
  });

  test('takes nothing back and believes nobody that it is taken', () => {
    for (const type of [MESSAGE.release, MESSAGE.decline]) {
      expect(statusOf(ask(type, clientId, serverId, association('00000001', held(lease.address))))).toBe(0);
      expect(given(ask(MESSAGE.request, clientId, serverId, one))).toEqual([['00000001', OWN]]);
    }
  });

  test('says whether an address is of this link', () => {
    const confirmed = (address: Buffer) =>
      statusOf(ask(MESSAGE.confirm, clientId, association('00000001', held(address))));
    expect(confirmed(lease.address)).toBe(0);
    expect(confirmed(FOREIGN)).toBe(4);
    expect(ask(MESSAGE.confirm, clientId, one)).toBeNull();
  });

  test('answers nothing that is not for it, or is no question', () => {
    const other = { code: OPTION.serverId, data: Buffer.from('00030001020000000001', 'hex') };
    expect(ask(MESSAGE.request, clientId, other, one)).toBeNull();
    expect(ask(MESSAGE.request, clientId, one)).toBeNull();
    expect(ask(MESSAGE.solicit, clientId, serverId, one)).toBeNull();
    expect(ask(MESSAGE.solicit, one)).toBeNull();
    expect(ask(MESSAGE.solicit, { code: OPTION.clientId, data: Buffer.alloc(131) }, one)).toBeNull();
    for (const type of [0, MESSAGE.advertise, MESSAGE.reply, 10, 12, 13, 255])
      expect(ask(type, clientId, one)).toBeNull();
    expect(ask(MESSAGE.informationRequest)?.type).toBe(MESSAGE.reply);
  });

  test('takes bytes of any kind, cut off anywhere, and never says much more than it was asked', () => {
    const many = Array.from({ length: 80 }, (_, index) => association(index.toString(16).padStart(8, '0')));
    const crowded = association('00000001', ...Array.from({ length: 40 }, () => held(FOREIGN)));
    for (const options of [
      [clientId, one],
      [clientId, ...many],
      [clientId, crowded],
    ]) {
      const whole = composeMessage({ type: MESSAGE.solicit, transaction: Buffer.alloc(3), options });
      for (let end = 0; end <= whole.length; end++) {
        const answer = answerDhcp6(whole.subarray(0, end), lease);
        expect(answer?.length ?? 0).toBeLessThan(end + 200);
      }
      for (let at = 0; at < Math.min(whole.length, 100); at++) {
        const bent = Buffer.from(whole);
        bent[at] = 0xff;
        expect(() => answerDhcp6(bent, lease)).not.toThrow();
      }
    }
  });
});
