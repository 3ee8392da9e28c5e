/** A program for a guest that has no tool which sends frames: Linux on x86-64, by system calls alone, without a library or a loader. */

const BASE = 0x400000n;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const ADDRESS_BYTES = 20;
const AF_PACKET = 17;

/** Sends what it reads from stdin, once, as one frame with its header of Ethernet; exits with 1 where it could not. @param link number of the interface. */
export function frameSender(link: number): Buffer {
  const code = Buffer.concat([SOCKET, READ, SEND, EXIT]);
  const content = Buffer.concat([code, addressOf(link)]);
  // `lea` counts from the instruction behind it.
  content.writeInt32LE(code.length - LEA_END, LEA_END - 4);
  return Buffer.concat([headers(content.length), content]);
}

const bytes = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

const SOCKET = bytes(
  [
    '6a29', // push 41: socket
    '58', // pop rax
    `6a${AF_PACKET.toString(16)}`, // push AF_PACKET
    '5f', // pop rdi
    '6a03', // push SOCK_RAW
    '5e', // pop rsi
    '31d2', // xor edx, edx: of no protocol, so that nothing is received
    '0f05', // syscall
    '4189c4', // mov r12d, eax
  ].join(''),
);

const READ = bytes(
  [
    '4881ec00080000', // sub rsp, 2048: more than a link carries
    '31c0', // xor eax, eax: read
    '31ff', // xor edi, edi: stdin
    '4889e6', // mov rsi, rsp
    'ba00080000', // mov edx, 2048
    '0f05', // syscall
  ].join(''),
);

/** Up to where the address is asked for, of which `frameSender` writes how far away it is. */
const SEND_TO = [
  '4889c2', // mov rdx, rax: as many as were read
  '4489e7', // mov edi, r12d
  '4531d2', // xor r10d, r10d: no flags
  '4c8d0500000000', // lea r8, [rip + the address]
].join('');

const SEND = bytes(
  [
    SEND_TO,
    '41b914000000', // mov r9d, ADDRESS_BYTES
    '6a2c', // push 44: sendto
    '58', // pop rax
    '0f05', // syscall; rdx is as it was
  ].join(''),
);

const EXIT = bytes(
  [
    '31ff', // xor edi, edi
    '4839d0', // cmp rax, rdx
    '400f95c7', // setne dil: all was sent, or 1
    '6a3c', // push 60: exit
    '58', // pop rax
    '0f05', // syscall
  ].join(''),
);

const LEA_END = SOCKET.length + READ.length + SEND_TO.length / 2;

/** `struct sockaddr_ll` (packet(7)): of a raw socket, the interface is all that counts. */
function addressOf(link: number): Buffer {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeInt32LE(link, 4);
  return address;
}

/** One segment that is read and run, with these headers in it (elf(5)). */
function headers(contentBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES + SEGMENT_BYTES);
  const whole = BigInt(header.length + contentBytes);
  bytes('7f454c46 02 01 01').copy(header); // ELF, of 64 bits, little endian, version 1
  header.writeUInt16LE(2, 16); // an executable
  header.writeUInt16LE(0x3e, 18); // x86-64
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BASE + BigInt(header.length), 24); // where it begins
  header.writeBigUInt64LE(BigInt(HEADER_BYTES), 32); // where segments are told of
  header.writeUInt16LE(HEADER_BYTES, 52);
  header.writeUInt16LE(SEGMENT_BYTES, 54);
  header.writeUInt16LE(1, 56);
  header.writeUInt32LE(1, 64); // to be loaded
  header.writeUInt32LE(5, 68); // read, run
  header.writeBigUInt64LE(BASE, 80);
  header.writeBigUInt64LE(BASE, 88);
  header.writeBigUInt64LE(whole, 96);
  header.writeBigUInt64LE(whole, 104);
  header.writeBigUInt64LE(0x1000n, 112);
  return header;
}
