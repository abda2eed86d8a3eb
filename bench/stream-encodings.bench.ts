/**
 * The two encodings of the stream: bytes of a frame, and what it takes to make one of what the worker hands over, which happens once
 * for all who want it. Frames are those of a run of `thread-2008`, whose log, metrics and faults are as in a session in use. Beside them
 * a general library, `cbor2`, as what was not taken.
 */
import { encode as encodeByLibrary } from 'cbor2';
import { createSimulator, resolveSpec } from '../src/core/index.ts';
import type { SessionFrame } from '../src/host/host.ts';
import { decodeCbor, encodeCbor } from '../src/stream/cbor.ts';
import { History } from '../src/stream/history.ts';
import { STREAM_LIMITS } from '../src/stream/limits.ts';
import { interleaved, shown, spreadOf } from './service/rounds.ts';

/** As the host takes them in a rhythm. */
const NOTICES = 256;
const OPERATIONS = 20_000;

function framesOfRun(): SessionFrame[] {
  const simulator = createSimulator(resolveSpec({ preset: 'thread-2008' }));
  const started = simulator.startRun({ operations: OPERATIONS });
  if (started.status !== 'ok') throw new Error('the run was not taken');
  const items = { faults: [] as object[], verdicts: [] as object[] };
  for (let ended = false; !ended; ) {
    ended = simulator.stepRun(1_000);
    for (const { topic, timeNs, data } of simulator.drainNotices(NOTICES).notices)
      if (topic !== 'events') items[topic].push({ timeNs, ...data });
  }
  const { timeNs } = simulator;
  const reading = simulator.read({ read: 'metrics' });
  if (reading.status !== 'ok') throw new Error('no metrics');
  const ofNotices = (topic: 'faults' | 'verdicts'): SessionFrame => {
    const data = JSON.stringify({ items: items[topic].slice(-NOTICES / 2), dropped: 0 });
    return { type: topic, timeNs, data };
  };
  return [
    { type: 'metrics', timeNs, data: JSON.stringify(reading.result) },
    ofNotices('faults'),
    ofNotices('verdicts'),
  ];
}

/** Microseconds each. */
function timed(times: number, make: () => void): Promise<number> {
  const begin = performance.now();
  for (let i = 0; i < times; i++) make();
  return Promise.resolve(((performance.now() - begin) * 1000) / times);
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const times = smoke ? 5 : 300;
  console.log(
    '  frame       JSON bytes  CBOR bytes  share   JSON, us               CBOR of it, us         by library, us         read CBOR, us',
  );
  for (const frame of framesOfRun()) {
    const history = new History('epoch0000000000a', STREAM_LIMITS, { bytes: 0 });
    history.append(frame, 0);
    const kept = history.at(1);
    const message = JSON.parse(kept.text.subarray(kept.text.indexOf('{')).toString());
    const bytes = encodeCbor(message);
    if (JSON.stringify(decodeCbor(bytes)) !== JSON.stringify(message))
      throw new Error('what is read is not what was written');
    const measures = [
      () => timed(times, () => history.append(frame, 0)),
      () =>
        timed(times, () => {
          kept.binary = null;
          history.binaryOf(kept);
        }),
      () => timed(Math.max(1, Math.ceil(times / 100)), () => encodeByLibrary(message)),
      () => timed(times, () => decodeCbor(bytes)),
    ];
    await interleaved(1, measures);
    const found = await interleaved(smoke ? 1 : 7, measures);
    const columns = found.map((values) => shown(spreadOf(values)).padEnd(22));
    const share = (bytes.length / kept.text.length).toFixed(2);
    console.log(
      `  ${frame.type.padEnd(10)}  ${String(kept.text.length).padStart(10)}  ${String(bytes.length).padStart(10)}  ${share}  ${columns.join(' ')}`,
    );
  }
}
