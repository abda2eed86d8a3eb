/** Single operations: `POST .../dma` on one session, against bare Fastify with the same schema, the same reply and the same client. */
import autocannon from 'autocannon';
import { Api } from './api.ts';
import { Helper, startServer } from './children.ts';
import { interleaved, ratios, row } from './rounds.ts';

/** Requests in flight, one a connection. */
const CONNECTIONS = 32;
const AIM = 0.6;
/** Milliseconds between two looks whether all requests are done. */
const SAMPLING = { sampleInt: 20 };

export async function benchSingleOperations({ smoke }: { smoke: boolean }): Promise<void> {
  const requests = smoke ? 300 : 10_000;
  const server = await startServer(['--workers', '1']);
  const api = new Api(server.port);
  await api.call('POST', '/v1/sessions', {
    name: 'bench',
    policy: { allocator: { kind: 'bitmap' } },
    devices: [{ name: 'nic0', kind: 'custom' }],
  });
  const device = '/v1/sessions/bench/devices/nic0';
  await api.call('POST', '/v1/sessions/bench/buffers', { name: 'skb', lengthBytes: 4096 });
  const { iova } = await api.call('POST', `${device}/mappings`, {
    kind: 'single',
    direction: 'to-device',
    buffer: 'skb',
  });
  const body = JSON.stringify({ iova, lengthBytes: 64, access: 'read' });
  const reply = await api.call('POST', `${device}/dma`, JSON.parse(body));
  const bare = await Helper.start('./bare-fastify.ts', JSON.stringify(reply));

  const throughput = (port: number) => () =>
    requestsPerSecond({ url: `http://127.0.0.1:${port}${device}/dma`, body, requests });
  try {
    const measures = [throughput(server.port), throughput(bare.port)];
    await interleaved(smoke ? 1 : 3, measures);
    const [ours = [], theirs = []] = await interleaved(smoke ? 2 : 15, measures);
    console.log(`Single operations: POST dma, ${CONNECTIONS} connections, one worker`);
    row('this server', ours, 'requests/s');
    row('bare Fastify, same schema', theirs, 'requests/s');
    row(`ratio, aim ${AIM}`, ratios(ours, theirs), '', 2);
  } finally {
    api.close();
    await Promise.all([server.stop(), bare.stop()]);
  }
}

function requestsPerSecond(load: { url: string; body: string; requests: number }): Promise<number> {
  const { url, body, requests } = load;
  const headers = { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    let end = begin;
    const client = autocannon(
      { url, method: 'POST', headers, body, connections: CONNECTIONS, amount: requests, ...SAMPLING },
      (error, result) => {
        if (error) reject(error);
        else if (result['2xx'] !== requests) reject(new Error(`${requests - result['2xx']} requests failed`));
        else resolve(requests / ((end - begin) / 1000));
      },
    );
    // Its own clock goes in samples.
    client.on('response', () => {
      end = performance.now();
    });
  });
}
