/** Where sessions are kept: a journal, or nothing at all, and whether it can be written. */
import type { MessagePort } from 'node:worker_threads';
import type { HostProblem } from './host.ts';
import { Journal, type Settled } from './journal/journal.ts';
import type { Sizes } from './journal/protocol.ts';
import type { Change, Sync } from './journal/rows.ts';
import { type HostLogger, SILENT } from './logger.ts';
import { storageUnavailable } from './problems.ts';
import { type Tracing, UNTRACED } from './tracing.ts';

export interface StorePlace {
  path: string;
  sync: Sync;
}

export class Store {
  /** Null: sessions end with the server. */
  readonly journal: Journal | null;
  private readonly voice: Voice;
  private tracing: Tracing = UNTRACED;

  private constructor(journal: Journal | null, voice: Voice) {
    this.journal = journal;
    this.voice = voice;
  }

  /** @throws JournalError when the journal cannot be used */
  static async open(place: StorePlace | undefined): Promise<Store> {
    const voice = new Voice();
    return new Store(place === undefined ? null : await openJournal(place, voice), voice);
  }

  /** @param sizes told of which sessions more or less is kept */
  listen(logger: HostLogger, sizes: (sizes: Sizes) => void, tracing: Tracing = UNTRACED): void {
    this.tracing = tracing;
    this.voice.logger = logger;
    this.voice.sizes = sizes;
  }

  /** Why nothing can be written, or null. */
  get trouble(): string | null {
    return this.voice.trouble;
  }

  /** As a reply says it. */
  refusal(): HostProblem | null {
    const { trouble } = this;
    return trouble === null ? null : storageUnavailable(trouble);
  }

  /** All of it or nothing. @returns why it is not kept, or null */
  async write(...changes: Change[]): Promise<HostProblem | null> {
    if (this.journal === null) return null;
    const span = this.tracing.begin('journal write', { 'iommu_lab.changes': changes.length });
    const failure = await this.journal.write(...changes);
    const problem = failure === null ? null : storageUnavailable(failure);
    span?.end(problem?.code ?? null);
    return problem;
  }

  /** For a worker's own writes, of which `settled` is told. */
  port(settled: Settled): MessagePort | null {
    return this.journal?.port(settled) ?? null;
  }

  async close(): Promise<void> {
    await this.journal?.close();
  }
}

/** What a journal says of itself, from before there is a host. */
class Voice {
  trouble: string | null = null;
  logger: HostLogger = SILENT;
  sizes: (sizes: Sizes) => void = () => {};
}

function openJournal({ path, sync }: StorePlace, voice: Voice): Promise<Journal> {
  return Journal.open(path, sync, {
    trouble: (reason) => {
      voice.trouble = reason;
      if (reason === null) voice.logger.info({}, 'the journal can be written again');
      else voice.logger.error({ reason }, 'the journal cannot be written; nothing is changed until it can');
    },
    sizes: (sizes) => voice.sizes(sizes),
    died: (error) => {
      throw error;
    },
  });
}
