/** Hosts for tests, on the fake simulator unless said otherwise, and what is asked of them again and again. */
import assert from 'node:assert/strict';
import { after, type TestContext } from 'node:test';
import type { FrameListener, Reply, RunDocument, SessionFrame, SessionHost } from '../../src/host/host.ts';
import { createHost, type HostOptions } from '../../src/host/session-host.ts';

export const FAKE = new URL('./fake-simulator.ts', import.meta.url).href;

let shared: Promise<SessionHost> | null = null;
after(async () => (await shared)?.close());

/**
 * A host for one test. Without options it is the one that all tests of the file share, with no session in it: starting a worker
 * takes longer than most tests. With options it is the test's own.
 */
export async function hostFor(test: TestContext, options?: HostOptions): Promise<SessionHost> {
  if (options !== undefined) {
    const host = await createHost({ workers: 1, simulatorModule: FAKE, ...options });
    test.after(() => host.close());
    return host;
  }
  shared ??= createHost({ workers: 1, simulatorModule: FAKE });
  const host = await shared;
  test.after(async () => {
    for (const { id } of (await accepted(host.list({ limit: 1000 }))).items) await host.delete(id);
  });
  return host;
}

export async function accepted<T>(reply: Promise<Reply<T>>): Promise<T> {
  const settled = await reply;
  assert.ok(settled.ok, `refused: ${JSON.stringify(settled)}`);
  return settled.value;
}

export async function refusal(reply: Promise<Reply<unknown>>): Promise<string> {
  const settled = await reply;
  assert.ok(!settled.ok, `not refused: ${JSON.stringify(settled)}`);
  return settled.problem.code;
}

/** Sends `parts` as the body of an `ops` request and reads the whole reply. */
export async function* bodyOf(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part;
}

export async function textOf(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

export interface ReplyLine {
  line: number;
  op: string | null;
  ok: boolean;
  result?: Record<string, unknown>;
  problem?: { code: string; detail: string; status: number; path?: string; errors?: { path: string }[] };
}

export function linesOf(text: string): ReplyLine[] {
  assert.ok(text === '' || text.endsWith('\n'), 'the last reply line has its line end');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as ReplyLine);
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `still not: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Remembers all it is told. */
export class Recorder implements FrameListener {
  readonly heard: { session: string; epoch: string; frame: SessionFrame }[] = [];
  readonly epochs: string[] = [];
  readonly gone: string[] = [];
  readonly broken: string[] = [];

  frames(session: string, epoch: string, frames: SessionFrame[]): void {
    for (const frame of frames) this.heard.push({ session, epoch, frame });
  }
  epoch(_session: string, epoch: string): void {
    this.epochs.push(epoch);
  }
  failed(session: string): void {
    this.broken.push(session);
  }
  deleted(session: string): void {
    this.gone.push(session);
  }
  of(type: SessionFrame['type']): Record<string, unknown>[] {
    return this.heard.filter(({ frame }) => frame.type === type).map(({ frame }) => JSON.parse(frame.data));
  }
}

/** The document of a run once it has ended. */
export async function runEnd(host: SessionHost, session: string, run: string): Promise<RunDocument> {
  let document = await accepted(host.getRun(session, run));
  await until(`${run} ended`, async () => {
    document = await accepted(host.getRun(session, run));
    return document.state !== 'running' && document.state !== 'queued';
  });
  return document;
}
