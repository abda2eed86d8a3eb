/**
 * Stands between a browser and a server, and hears what a stream says: a worker's WebSocket is none that Playwright routes.
 *
 *     const between = await standBetween(server);
 *     await openPage(browser, between.server, '/sessions/a');
 *     between.streams[0].cut(4001);             // of the first connection
 */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { DashboardServer } from './dashboard-place.ts';

export interface HeardStream {
  /** What the page asked for, in order. */
  asked: { epoch?: string; fromSequence?: number }[];
  /** Sequences of the frames that went to the page, in order. */
  sent: number[];
  /** To the page, as if the server said it. */
  say(text: string): void;
  cut(code: number): void;
}

export interface Between {
  /** The same server at another address. */
  server: DashboardServer;
  /** One for each connection, the newest last. */
  streams: HeardStream[];
  close(): Promise<void>;
}

export async function standBetween(server: DashboardServer): Promise<Between> {
  const streams: HeardStream[] = [];
  const http = createServer((incoming, reply) => {
    const { method, url = '', headers } = incoming;
    const onward = request(server.address + url, { method, headers }, (answer) => {
      reply.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(reply);
    });
    onward.on('error', () => reply.destroy());
    incoming.pipe(onward);
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: ([first]) => first ?? false });
  http.on('upgrade', (incoming, socket, head) => {
    sockets.handleUpgrade(incoming, socket, head, (toPage) => {
      const { origin, host } = incoming.headers;
      const address = server.address.replace('http', 'ws') + incoming.url;
      const toServer = new WebSocket(address, toPage.protocol, { headers: { origin, host } });
      streams.push(hear(toPage, toServer));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return {
    server: { ...server, address },
    streams,
    async close() {
      for (const client of sockets.clients) client.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

function hear(toPage: WebSocket, toServer: WebSocket): HeardStream {
  const asked: HeardStream['asked'] = [];
  const sent: number[] = [];
  toPage.on('message', (text) => {
    asked.push(JSON.parse(String(text)));
    toServer.send(String(text));
  });
  toServer.on('message', (text) => {
    const { sequence, data } = JSON.parse(String(text));
    if (data !== undefined) sent.push(sequence);
    toPage.send(String(text));
  });
  toServer.on('close', (code, reason) => toPage.close(code, reason));
  toPage.on('close', () => toServer.close());
  // The other end hears of it as a close.
  for (const each of [toPage, toServer]) each.on('error', () => undefined);
  return {
    asked,
    sent,
    say: (text) => toPage.send(text),
    cut(code) {
      toServer.removeAllListeners('close');
      toPage.close(code, 'cut by a test');
    },
  };
}
