/**
 * Messages of a server as they stand on a WebSocket (RFC 6455 section 5.2): one frame, final, not masked, so that the same bytes do
 * for every client. Made once and written as they are, they save a head, and a write of two pieces, for each client.
 */

const TEXT = 1;
const BINARY = 2;
const FINAL = 0x80;

export function textMessage(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const message = withHead(TEXT, length);
  message.write(text, message.length - length, 'utf8');
  return message;
}

export function binaryMessage(payload: Uint8Array): Buffer {
  const message = withHead(BINARY, payload.length);
  message.set(payload, message.length - payload.length);
  return message;
}

export function payloadLength(message: Buffer): number {
  const short = message[1]!;
  if (short < 126) return short;
  return short === 126 ? message.readUInt16BE(2) : message.readUInt32BE(6);
}

function withHead(opcode: number, length: number): Buffer {
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const message = Buffer.allocUnsafe(head + length);
  message[0] = FINAL | opcode;
  if (head === 2) {
    message[1] = length;
  } else if (head === 4) {
    message[1] = 126;
    message.writeUInt16BE(length, 2);
  } else {
    message[1] = 127;
    message.writeUInt32BE(0, 2);
    message.writeUInt32BE(length, 6);
  }
  return message;
}
