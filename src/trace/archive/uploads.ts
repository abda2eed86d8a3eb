/**
 * Bytes that arrive, behind those that are there. Whatever happens, those that came are kept, and the next request goes on behind them.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { HostProblem } from '../../host/host.ts';
import type { HostLogger } from '../../host/logger.ts';
import { messageOf, shuttingDown, storageUnavailable } from '../../host/problems.ts';
import { takeBody } from './body.ts';
import type { Entry } from './entry.ts';
import type { TraceFolder } from './folder.ts';
import type { ArchiveLimits } from './limits.ts';
import { bodyProblem, inconsistent, tooLarge, traceNotFound, uploadEnded } from './problems.ts';
import type { Reading } from './reading.ts';
import type { Register } from './register.ts';
import type { Room } from './room.ts';

export interface AppendRequest {
  /** Where the sender believes that it goes on. */
  offset: number;
  /** Whether the recording ends with this body. */
  complete: boolean;
  /** Of all of the recording, packed; null when this request does not say. */
  lengthBytes: number | null;
  /** Of this body; null when nobody knows. */
  bodyBytes: number | null;
  body: Readable;
}

export interface UploadParts {
  folder: TraceFolder;
  register: Register;
  room: Room;
  reading: Reading;
  limits: Readonly<ArchiveLimits>;
  logger: HostLogger;
}

/** How often it is looked whether there is still room: what is over the bounds is over them by so much at most. */
const LOOK_BYTES = 1024 * 1024;

export class Uploads {
  private readonly parts: UploadParts;
  /** Since the start. */
  receivedBytes = 0;
  private closing = false;

  constructor(parts: UploadParts) {
    this.parts = parts;
  }

  /** They end and keep what they have; no more are taken. */
  async close(): Promise<void> {
    this.closing = true;
    const entries = [...this.parts.register.entries()];
    for (const { active } of entries) active?.stop.abort();
    await Promise.all(entries.map(({ active }) => active?.done));
  }

  /**
   * A request that comes while another one's body arrives takes its place: the other's connection may be long dead.
   *
   * @returns once the body is at its end and on the disk: null, or why it could not be taken
   */
  async append(entry: Entry, request: AppendRequest): Promise<HostProblem | null> {
    while (entry.active !== null) {
      entry.active.stop.abort();
      await entry.active.done;
    }
    const problem = this.refusal(entry, request);
    if (problem !== null) return problem;
    const stop = new AbortController();
    let settle = (): void => {};
    entry.active = {
      stop,
      done: new Promise((resolve) => {
        settle = resolve;
      }),
    };
    try {
      return await this.take(entry, request, stop.signal);
    } finally {
      entry.active = null;
      settle();
    }
  }

  private refusal(entry: Entry, request: AppendRequest): HostProblem | null {
    const { register, room, limits } = this.parts;
    const { facts, gone } = entry;
    if (this.closing) return shuttingDown();
    if (gone) return traceNotFound(facts.id);
    if (facts.state === 'failed') return uploadEnded(entry.problem ?? register.outcomeOf(entry).problem);
    if (facts.state !== 'uploading')
      return { code: 'upload-complete', detail: `All ${facts.bytes} bytes of the recording are there.` };
    if (request.offset !== facts.bytes) {
      const detail = `${facts.bytes} bytes are there, so that the next one goes to offset ${facts.bytes}, not ${request.offset}.`;
      return { code: 'mismatching-upload-offset', detail, retryable: true };
    }
    const { lengthBytes } = facts.input;
    const end = request.bodyBytes === null ? null : request.offset + request.bodyBytes;
    const said = request.lengthBytes ?? (request.complete ? end : null);
    if (said !== null && lengthBytes !== null && said !== lengthBytes)
      return inconsistent(`It was to have ${lengthBytes} bytes, and is now to have ${said}.`);
    const length = said ?? lengthBytes;
    if (length !== null && end !== null && (request.complete ? end !== length : end > length))
      return inconsistent(`It is to have ${length} bytes, and with this body it would have ${end}.`);
    if ((length ?? end ?? 0) > limits.uploadBytes) return tooLarge(limits.uploadBytes);
    if (length !== lengthBytes) {
      facts.input = { ...facts.input, lengthBytes: length };
      register.update(facts);
    }
    return room.refuseBytes(Math.max(0, (end ?? 0) - facts.bytes), facts.owner);
  }

  private async take(
    entry: Entry,
    { body, complete }: AppendRequest,
    signal: AbortSignal,
  ): Promise<HostProblem | null> {
    const { folder, room, reading, limits } = this.parts;
    const { facts } = entry;
    let problem: HostProblem | null = null;
    let untilLook = 0;
    let file: FileHandle | null = null;
    try {
      file = await open(folder.uploadPath(facts.id), 'a', 0o600);
      const handle = file;
      const how = await takeBody(body, { idleMs: limits.idleMs, signal }, async (bytes) => {
        if (facts.state !== 'uploading') throw new Refused(uploadEnded(entry.problem));
        const { lengthBytes } = facts.input;
        if (lengthBytes !== null && facts.bytes + bytes.length > lengthBytes)
          throw new Refused(inconsistent(`More than the ${lengthBytes} bytes come that it is to have.`));
        if (facts.bytes + bytes.length > limits.uploadBytes) throw new Refused(tooLarge(limits.uploadBytes));
        if (untilLook <= 0) {
          const noRoom = room.refuseBytes(bytes.length, facts.owner) ?? (await room.refuseDisk());
          if (noRoom !== null) throw new Refused(noRoom);
          untilLook = LOOK_BYTES;
        }
        untilLook -= bytes.length;
        await writeAll(handle, bytes);
        facts.bytes += bytes.length;
        this.receivedBytes += bytes.length;
        reading.more(entry);
        await this.holdBack(entry, signal);
      });
      problem = facts.state === 'failed' ? uploadEnded(entry.problem) : bodyProblem(how, limits.idleMs);
    } catch (error) {
      problem = this.problemOf(error);
    }
    if (problem?.code === 'recording-too-large') reading.fail(entry, { code: problem.code, detail: problem.detail });
    try {
      await file?.datasync();
      await file?.close();
    } catch (error) {
      problem ??= this.problemOf(error);
    }
    if (problem === null && complete) problem = this.complete(entry);
    return problem;
  }

  /** All bytes are there and on the disk. */
  private complete(entry: Entry): HostProblem | null {
    const { register, reading } = this.parts;
    const { facts } = entry;
    if (facts.state !== 'uploading') return uploadEnded(entry.problem);
    const { lengthBytes } = facts.input;
    if (lengthBytes !== null && facts.bytes !== lengthBytes)
      return inconsistent(`It was to have ${lengthBytes} bytes, and ends with ${facts.bytes}.`);
    const input = { ...facts.input, lengthBytes: facts.bytes };
    try {
      register.update({ ...facts, state: 'reading', input });
    } catch (error) {
      return storageUnavailable(messageOf(error));
    }
    facts.state = 'reading';
    facts.input = input;
    reading.more(entry);
    return null;
  }

  /** Waits until the reader is not too far behind. One that waits for its turn does not hold up anybody: the disk has room. */
  private async holdBack(entry: Entry, signal: AbortSignal): Promise<void> {
    const { leadBytes } = this.parts.limits;
    while (entry.readsTapeBytes > 0 && entry.facts.bytes - entry.read > leadBytes && !signal.aborted) {
      await new Promise<void>((resolve) => {
        entry.caughtUp.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  private problemOf(error: unknown): HostProblem {
    if (error instanceof Refused) return error.problem;
    const { code } = error as NodeJS.ErrnoException;
    this.parts.logger.error({ err: error }, 'an upload cannot be written');
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return { code: 'storage-full', detail: 'The disk of the server is full.', retryable: true };
    return storageUnavailable(code ?? messageOf(error));
  }
}

/** Ends the taking of a body. */
class Refused extends Error {
  readonly problem: HostProblem;

  constructor(problem: HostProblem) {
    super(problem.detail);
    this.problem = problem;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0; ) {
    const { bytesWritten } = await file.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}
