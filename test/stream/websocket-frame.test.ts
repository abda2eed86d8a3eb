import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { test } from 'node:test';
import * as ws from 'ws';
import { binaryMessage, payloadLength, textMessage } from '../../src/stream/websocket-frame.ts';

/** The library's reader of frames, which its types leave out. */
const { Receiver } = ws as unknown as { Receiver: new (options: { isServer: boolean }) => Writable };

/** What the WebSocket library makes of bytes from a server. */
async function read(bytes: Buffer): Promise<{ data: Buffer; isBinary: boolean }> {
  const receiver = new Receiver({ isServer: false });
  const message = once(receiver, 'message');
  receiver.write(bytes);
  const [data, isBinary] = await message;
  return { data, isBinary };
}

test('a message is read as it was made, around each length at which its head changes', async () => {
  for (const length of [0, 1, 125, 126, 127, 4096, 65_535, 65_536, 100_000]) {
    const text = 'x'.repeat(length);
    const message = textMessage(text);
    assert.deepEqual(await read(message), { data: Buffer.from(text), isBinary: false });
    assert.equal(payloadLength(message), length);
    const payload = Buffer.alloc(length, 0xfe);
    const binary = binaryMessage(payload);
    assert.deepEqual(await read(binary), { data: payload, isBinary: true });
    assert.equal(payloadLength(binary), length);
  }
});

test('lengths are of bytes, not of letters', async () => {
  for (const text of ['é'.repeat(63), '水'.repeat(42), '𐅑'.repeat(16_384), `${'x'.repeat(124)}é`]) {
    const message = textMessage(text);
    assert.equal(payloadLength(message), Buffer.byteLength(text));
    assert.equal((await read(message)).data.toString(), text);
  }
});
