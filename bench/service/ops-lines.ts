/**
 * `ops`: map, dma, unmap as lines, with labels and with the addresses and ids spelt out, against the floor of splitting the same
 * bytes at line ends and parsing each line.
 */
import { Api, ReplyLines } from './api.ts';
import { startServer } from './children.ts';
import { interleaved, ratios, row } from './rounds.ts';

const AIM = 300_000;
const SESSION = 'bench';
const PAGE_BYTES = 4096;

/** Three lines a cycle; every line finds its own mapping by the labels that the cycle defines anew. */
function labelledLines(cycles: number): Buffer {
  const lines: string[] = [];
  for (let cycle = 0; cycle < cycles; cycle++) {
    const label = `m${cycle}`;
    lines.push(
      `{"op":"map","device":"nic0","kind":"single","direction":"from-device","physicalAddress":${frameOf(cycle)},"lengthBytes":1500,"as":"${label}"}`,
      `{"op":"dma","device":"nic0","iova":"$${label}.iova","lengthBytes":1500,"access":"write"}`,
      `{"op":"unmap","mapping":"$${label}"}`,
    );
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** The same operations as a client writes them that has kept count: a fresh session gives out the same addresses every time. */
function plainLines(labelled: Buffer, replies: string): Buffer {
  const answers = replies.trimEnd().split('\n');
  const lines = labelled.toString().trimEnd().split('\n');
  for (let at = 0; at < lines.length; at += 3) {
    const { result } = JSON.parse(answers[at]!) as { result: { id: string; iova: string } };
    lines[at] = lines[at]!.replace(/,"as":"[^"]*"/, '');
    lines[at + 1] = lines[at + 1]!.replace(/"\$[^"]*"/, `"${result.iova}"`);
    lines[at + 2] = lines[at + 2]!.replace(/"\$[^"]*"/, `"${result.id}"`);
  }
  return Buffer.from(`${lines.join('\n')}\n`);
}

/** Above 1 MiB, where memory belongs to nobody in particular; 512 frames in turn, as a ring's buffers are. */
function frameOf(cycle: number): number {
  return 2 ** 20 + (cycle % 512) * PAGE_BYTES;
}

export async function benchOpsLines({ smoke }: { smoke: boolean }): Promise<void> {
  const cycles = smoke ? 500 : 100_000;
  const server = await startServer(['--workers', '1']);
  const api = new Api(server.port);
  try {
    await api.call('POST', '/v1/sessions', {
      name: SESSION,
      policy: { allocator: { kind: 'bitmap' }, invalidation: { kind: 'deferred-2008' } },
      devices: [{ name: 'nic0', kind: 'custom' }],
    });
    const send = async (lines: Buffer): Promise<{ seconds: number; replies: ReplyLines }> => {
      await api.call('POST', `/v1/sessions/${SESSION}/reset`);
      const replies = new ReplyLines();
      const begin = performance.now();
      await api.ops(SESSION, lines, replies.take);
      const seconds = (performance.now() - begin) / 1000;
      if (replies.count !== 3 * cycles || replies.last().ok !== true)
        throw new Error(`line ${replies.count} of ${3 * cycles}: ${JSON.stringify(replies.last())}`);
      return { seconds, replies };
    };
    const labelled = labelledLines(cycles);
    let text = '';
    await api.call('POST', `/v1/sessions/${SESSION}/reset`);
    await api.ops(SESSION, labelled, (piece) => {
      text += piece.toString('latin1');
    });
    const plain = plainLines(labelled, text);
    const linesPerSecond = (lines: Buffer) => async () => (3 * cycles) / (await send(lines)).seconds;
    const measures = [linesPerSecond(labelled), linesPerSecond(plain), async () => floor(plain)];
    await interleaved(1, measures);
    const [withLabels = [], without = [], splitAndParse = []] = await interleaved(smoke ? 2 : 7, measures);
    console.log(
      `ops: map, dma, unmap; ${3 * cycles} lines of ${Math.round(labelled.length / 3 / cycles)} bytes, replies of ${Math.round(text.length / 3 / cycles)}; one worker`,
    );
    row(`with labels, aim ${AIM.toLocaleString('en-US')}`, withLabels, 'lines/s');
    row(`without labels, aim ${AIM.toLocaleString('en-US')}`, without, 'lines/s');
    row('floor: split and JSON.parse of the same bytes', splitAndParse, 'lines/s');
    row('without labels, share of the floor', ratios(without, splitAndParse), '', 2);
  } finally {
    api.close();
    await server.stop();
  }
}

function floor(lines: Buffer): number {
  const begin = performance.now();
  const text = lines.toString();
  let count = 0;
  for (let at = 0, end = text.indexOf('\n'); end !== -1; at = end + 1, end = text.indexOf('\n', at)) {
    const value = JSON.parse(text.substring(at, end)) as { op: string };
    if (value.op.length > 0) count++;
  }
  return count / ((performance.now() - begin) / 1000);
}
