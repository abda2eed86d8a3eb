/** The stream in a browser: an `EventSource` that is cut off comes back by itself and misses nothing; binary over a WebSocket. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { event, startStream } from '../test/stream/stream-server.ts';
import { openBrowser } from './browser.ts';

let browser: Browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

test('an EventSource follows a session, over a cut of its connection, until the session is deleted', async (context) => {
  const { app, sessions, port, hub } = await startStream(context);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/v1/sessions`);
  const told = page.evaluate(
    () =>
      new Promise<{ notes: unknown[]; ids: string[]; gaps: number; end: number }>((resolve) => {
        const source = new EventSource('/v1/sessions/ses_1/stream?topics=events');
        const heard = { notes: [] as unknown[], ids: [] as string[], gaps: 0, end: 0 };
        source.addEventListener('events', ({ data, lastEventId }) => {
          heard.notes.push(JSON.parse(data).data.items[0].note);
          heard.ids.push(lastEventId);
          document.title = `${heard.notes.length} heard`;
        });
        source.addEventListener('gap', () => heard.gaps++);
        source.addEventListener('end', ({ data }) => {
          heard.end = JSON.parse(data).code;
          source.close();
          resolve(heard);
        });
      }),
  );
  const until = async (sockets: number, sent: number): Promise<void> => {
    while (hub.status().sockets !== sockets || hub.status().framesSent < sent) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await until(1, 0);
  sessions.emit('ses_1', event(1), event(2));
  await until(1, 2);
  await page.waitForFunction(() => document.title === '2 heard');
  app.server.closeAllConnections();
  await until(0, 2);
  sessions.emit('ses_1', event(3));
  await until(1, 3);
  sessions.emit('ses_1', event(4));
  sessions.delete('ses_1');
  const { notes, ids, gaps, end } = await told;
  assert.deepEqual([notes, gaps, end], [[1, 2, 3, 4], 0, 4500]);
  assert.deepEqual(
    ids,
    [1, 2, 3, 4].map((sequence) => `epo_ses_1_1:${sequence}`),
  );
  await page.close();
});

test('a WebSocket of a browser is answered in binary when it asks for it', async (context) => {
  const { port } = await startStream(context);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${port}/v1/sessions`);
  const first = await page.evaluate(
    () =>
      new Promise<{ protocol: string; bytes: number[] }>((resolve, reject) => {
        const socket = new WebSocket('/v1/sessions/ses_1/stream', ['iommu-lab.v1.cbor']);
        socket.binaryType = 'arraybuffer';
        socket.onerror = reject;
        socket.onmessage = ({ data }) => {
          resolve({ protocol: socket.protocol, bytes: [...new Uint8Array(data)].slice(0, 12) });
          socket.close();
        };
      }),
  );
  // A map of five, and in it the text "type" and the text "hello".
  assert.deepEqual(
    [first.protocol, Buffer.from(first.bytes).toString('hex')],
    ['iommu-lab.v1.cbor', 'a564747970656568656c6c6f'],
  );
  await page.close();
});
