/**
 * Recordings of any size through a whole server: made as they are sent, in gzip and zstd, over HTTP, while the server is killed and the
 * upload goes on. What has to hold:
 *
 * - every line is accounted for, and all recordings of one seed come to the same tape
 * - after a kill the server has the bytes that it had acknowledged, and the sender goes on there
 * - the memory of the server stays within a bound that does not depend on the size
 * - meanwhile it answers others
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { createGzip, createZstdCompress } from 'node:zlib';
import type { TraceDocument } from '../../src/trace/trace.ts';
import { mebibytes, residentBytes } from './resident.ts';
import { ServerProcess } from './server.ts';
import { Recording, type RecordingFigures } from './trace/recording.ts';

export interface TraceSettings {
  /** Of each recording, unpacked. */
  bytes: number;
  seed: number;
  folder: string;
  /** Of the server, over what it takes when it has nothing to do. */
  largestGrowthMib?: number;
  /** The server is killed when it has so much of an upload, 0 to 1. */
  killsAt?: readonly number[];
  progress?(said: string): void;
}

export interface TraceProof {
  recordings: number;
  lines: number;
  bytes: number;
  packedBytes: Record<string, number>;
  kills: number;
  resumes: number;
  records: number;
  restingMib: number;
  peakMib: number;
  slowestReplyMs: number;
  secondsByEncoding: Record<string, number>;
  linesPerSecond: Record<string, number>;
  complaints: string[];
}

const ENCODINGS = ['gzip', 'zstd'] as const;
type Packed = (typeof ENCODINGS)[number];
/** A worker's heap grows before it is collected; a reader has a ring of pages, an unpacker and what is open in the recording. */
const GROWTH_MIB = 400;
const SAMPLE_MS = 100;
const BLOCK_BYTES = 256 * 1024;

export async function proveTrace(settings: TraceSettings): Promise<TraceProof> {
  const { folder, seed, bytes, largestGrowthMib = GROWTH_MIB, killsAt = [0.3, 0.7], progress } = settings;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const mib = String(Math.ceil(bytes / 2 ** 20) * 4 + 1024);
  const server = await ServerProcess.start(join(folder, 'data'), ['--workers', '1', '--traces-mib', mib]);
  const proof: TraceProof = {
    recordings: 0,
    lines: 0,
    bytes: 0,
    packedBytes: {},
    kills: 0,
    resumes: 0,
    records: 0,
    restingMib: mebibytes(residentBytes(server.pid)),
    peakMib: 0,
    slowestReplyMs: 0,
    secondsByEncoding: {},
    linesPerSecond: {},
    complaints: [],
  };
  const watching = new Watch(server, proof);
  try {
    let digest: string | null = null;
    for (const encoding of ENCODINGS) {
      const started = performance.now();
      const sender = new Sender(server, encoding, seed, bytes, progress);
      const kills = killsAt.map((share) => share * bytes);
      const { trace, figures, openMaps } = await sender.run(kills, proof);
      const seconds = (performance.now() - started) / 1000;
      proof.recordings++;
      proof.lines += figures.lines;
      proof.bytes += figures.bytes;
      proof.packedBytes[encoding] = trace.bytes;
      proof.records = trace.records;
      proof.secondsByEncoding[encoding] = Math.round(seconds * 10) / 10;
      proof.linesPerSecond[encoding] = Math.round(figures.lines / seconds);
      proof.complaints.push(...complaintsOf(encoding, trace, figures, openMaps));
      if (digest !== null && trace.digest !== digest)
        proof.complaints.push(`${encoding} came to the tape ${trace.digest}, and the one before to ${digest}`);
      ({ digest } = trace);
      progress?.(`${encoding}: ${figures.lines} lines, ${proof.kills} kills so far, peak ${proof.peakMib} MiB`);
      const { status } = await server.ask('DELETE', `/traces/${trace.id}`);
      if (status !== 200) proof.complaints.push(`the trace could not be deleted: ${status}`);
    }
  } finally {
    await watching.end();
    await server.stop();
  }
  const most = proof.restingMib + largestGrowthMib;
  if (proof.peakMib > most) proof.complaints.push(`the server took ${proof.peakMib} MiB, and ${most} was the bound`);
  return proof;
}

/** Every line, by what it is, and every mapping. */
function complaintsOf(encoding: string, trace: TraceDocument, figures: RecordingFigures, openMaps: number): string[] {
  const skipped = trace.lines.skipped.reduce((sum, { count }) => sum + count, 0);
  const { total, understood, comments, blank } = trace.lines;
  const pairs: [string, number | undefined, number][] = [
    ['bytes', trace.unpackedBytes, figures.bytes],
    ['lines', total, figures.lines],
    ['comments', comments, figures.comments],
    ['understood lines', understood, figures.maps + figures.unmaps],
    ['lines in all', understood + comments + blank + skipped, figures.lines],
    ['maps', trace.events.map, figures.maps],
    ['unmaps', trace.events.unmap, figures.unmaps],
    ['open maps', trace.openMaps, openMaps],
    ['unmatched unmaps', trace.unmatchedUnmaps, 0],
    ['clock steps', trace.clockSteps, 0],
  ];
  const wrong = pairs.filter(([, is, should]) => is !== should);
  const said = wrong.map(([what, is, should]) => `${encoding}: ${is} ${what}, and ${should} were sent`);
  return trace.state === 'ready' ? said : [`${encoding}: ${trace.state}, ${JSON.stringify(trace.problem)}`];
}

/** Memory of the server, and how long it lets others wait. */
class Watch {
  private readonly proof: TraceProof;
  private readonly sampling: Promise<void>;
  private over = false;

  constructor(server: ServerProcess, proof: TraceProof) {
    this.proof = proof;
    this.sampling = this.sample(server);
  }

  private async sample(server: ServerProcess): Promise<void> {
    while (!this.over) {
      if (!server.gone) {
        try {
          this.proof.peakMib = Math.max(this.proof.peakMib, mebibytes(residentBytes(server.pid)));
          const asked = performance.now();
          await (await fetch(`${server.address}/healthz`)).text();
          this.proof.slowestReplyMs = Math.max(this.proof.slowestReplyMs, Math.round(performance.now() - asked));
        } catch {
          // It was killed in between.
        }
      }
      await wait(SAMPLE_MS);
    }
  }

  async end(): Promise<void> {
    this.over = true;
    await this.sampling;
  }
}

/**
 * Sends one recording. What has been sent is made again after a kill, from the seed: nothing of it is kept, here as there, and packing the
 * same bytes in the same way gives the same bytes again.
 */
class Sender {
  private readonly server: ServerProcess;
  private readonly encoding: Packed;
  private readonly seed: number;
  private readonly size: number;
  private readonly progress: TraceSettings['progress'];
  private recording: Recording;
  private id = '';

  constructor(
    server: ServerProcess,
    encoding: Packed,
    seed: number,
    size: number,
    progress: TraceSettings['progress'],
  ) {
    this.server = server;
    this.encoding = encoding;
    this.seed = seed;
    this.size = size;
    this.progress = progress;
    this.recording = new Recording(seed, size);
  }

  /** @param kills unpacked bytes made, at each of which the server is killed */
  async run(kills: number[], proof: TraceProof) {
    this.id = await this.create();
    let offset = 0;
    for (let turn = 0; ; turn++) {
      const end = await this.send(offset, kills[turn] ?? null);
      if (end === 'sent') break;
      proof.kills++;
      const acknowledged = (await this.look()).upload.offset;
      this.progress?.(`${this.encoding}: killed; goes on at ${acknowledged}`);
      if (acknowledged < offset)
        proof.complaints.push(`${acknowledged} bytes are left of ${offset} that were acknowledged`);
      offset = acknowledged;
      proof.resumes++;
    }
    for (;;) {
      const trace = await this.look();
      if (trace.endedAt !== null) return { trace, figures: this.recording.figures, openMaps: this.recording.openMaps };
      await wait(50);
    }
  }

  private async create(): Promise<string> {
    const reply = await fetch(`${this.server.address}/v1/traces?format=ftrace`, {
      method: 'POST',
      headers: { 'content-encoding': this.encoding, 'content-type': 'text/plain', 'upload-complete': '?0' },
    });
    const { id } = (await reply.json()) as { id: string };
    if (reply.status !== 201) throw new Error(`the upload could not be begun: ${reply.status}`);
    return id;
  }

  private async look(): Promise<TraceDocument> {
    const { status, body } = await this.server.ask('GET', `/traces/${this.id}`);
    if (status !== 200) throw new Error(`the trace cannot be read: ${status} ${body}`);
    return JSON.parse(body) as TraceDocument;
  }

  /** From an offset on to the end, or until so much has been made. */
  private async send(offset: number, killAt: number | null): Promise<'sent' | 'killed'> {
    this.recording = new Recording(this.seed, this.size);
    let killing: Promise<void> | null = null;
    const packed = this.packed(offset, killAt, () => {
      killing ??= this.server.kill();
    });
    try {
      // What the server has is made again before it is asked: a connection that says nothing for so long is given up by it.
      const body = startedWith(await packed.next(), packed);
      const reply = await fetch(`${this.server.address}/v1/traces/${this.id}`, {
        method: 'PATCH',
        headers: {
          'content-type': 'application/partial-upload',
          'upload-offset': String(offset),
          'upload-complete': '?1',
        },
        body: body as never,
        duplex: 'half',
      } as RequestInit);
      const text = await reply.text();
      if (reply.status !== 200) throw new Error(`PATCH ${reply.status}: ${text}`);
      return 'sent';
    } catch (error) {
      if (killing === null) throw error;
      await killing;
      await this.server.begin();
      return 'killed';
    }
  }

  private async *packed(offset: number, killAt: number | null, kill: () => void): AsyncGenerator<Uint8Array> {
    const { recording } = this;
    const engine =
      this.encoding === 'gzip'
        ? createGzip({ level: 1, chunkSize: BLOCK_BYTES })
        : createZstdCompress({ chunkSize: BLOCK_BYTES });
    const filling = (async () => {
      for (const block of recording.blocks()) {
        if (killAt !== null && recording.figures.bytes >= killAt) kill();
        if (engine.destroyed) return;
        if (!engine.write(block)) await drained(engine);
      }
      engine.end();
    })();
    let at = 0;
    try {
      for await (const block of engine as AsyncIterable<Buffer>) {
        const from = Math.max(0, offset - at);
        at += block.length;
        if (from < block.length) yield block.subarray(from);
      }
    } finally {
      engine.destroy();
    }
    await filling;
  }
}

async function* startedWith<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  if (first.done) return;
  yield first.value;
  yield* rest;
}

/** Or closed. */
function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      stream.off('drain', go).off('close', go);
      resolve();
    };
    stream.on('drain', go).on('close', go);
  });
}
