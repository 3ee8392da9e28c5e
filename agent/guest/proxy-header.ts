/**
 * What a server that insists on the PROXY protocol wants to hear first, of somebody who speaks for himself: version 2, `LOCAL`, without
 * addresses (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt, section 2.2).
 */
export const PROXY_LOCAL: Buffer = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
  Buffer.from([0x20, 0x00, 0x00, 0x00]),
]);
