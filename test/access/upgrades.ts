/** Upgrades, as far as the answer to them. */
import { request } from 'node:http';
import type { Answer } from './guarded-server.ts';

export const UPGRADE: Readonly<Record<string, string>> = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

export const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });

/** Beside the real one, as a browser has to. */
export const subprotocols = (text: string): string[] => [
  'iommu-lab.v1',
  `bearer.${Buffer.from(text).toString('base64url')}`,
];

/** What a client gets that asks for an upgrade; 101 when it got it, and then it goes. */
export async function upgradeAnswer(port: number, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const asked = request({ port, host: '127.0.0.1', path, headers: { ...UPGRADE, ...headers }, agent: false }).end();
  asked.on('error', reject);
  asked.on('upgrade', (response, socket) => {
    socket.destroy();
    resolve({ status: 101, headers: response.headers, body: null });
  });
  asked.on('response', async (response) => {
    let text = '';
    for await (const chunk of response) text += chunk;
    resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) });
  });
  return promise;
}
