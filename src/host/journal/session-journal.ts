/**
 * The journal in a session worker. Records gather until the worker's outbox seals them; a message that leaves after that, replies and
 * frames alike, is held by the main thread until they are durable, so that nobody ever sees what a restart could take back.
 */
import type { MessagePort } from 'node:worker_threads';
import { JournalClient } from './client.ts';
import type { Answers, Ask } from './protocol.ts';
import type { JournalRecord } from './records.ts';
import type { Change, SnapshotRow } from './rows.ts';

type Gathered = { text: string; reset: boolean } | { image: Uint8Array; snapshot?: SnapshotRow };

export class SessionJournal {
  private readonly client: JournalClient;
  /** By the number of the session: what is not yet sealed. Lines are an entry from the beginning, each reset, and each image. */
  private readonly gathered = new Map<number, Gathered[]>();
  private readonly encoder = new TextEncoder();

  constructor(port: MessagePort) {
    this.client = new JournalClient(port);
  }

  append(number: number, record: JournalRecord): void {
    const line = `${JSON.stringify(record)}\n`;
    const reset = 'reset' in record;
    const entries = this.gathered.get(number);
    const last = entries?.at(-1);
    if (entries === undefined) this.gathered.set(number, [{ text: line, reset }]);
    else if (reset || last === undefined || 'image' in last) entries.push({ text: line, reset });
    else last.text += line;
  }

  /** How the session is after what was appended. */
  image(number: number, image: Uint8Array): void {
    const entries = this.gathered.get(number);
    if (entries === undefined) this.gathered.set(number, [{ image }]);
    else entries.push({ image });
  }

  /** How the session is after what was appended, to be kept. */
  snapshot(number: number, snapshot: SnapshotRow, image: Uint8Array): void {
    const entries = this.gathered.get(number);
    if (entries === undefined) this.gathered.set(number, [{ image, snapshot }]);
    else entries.push({ image, snapshot });
  }

  get pending(): boolean {
    return this.gathered.size > 0;
  }

  /** Sends what was gathered. @returns the number of the seal */
  seal(): number {
    const changes: Change[] = [];
    for (const [number, entries] of this.gathered)
      for (const each of entries)
        changes.push(
          'text' in each
            ? { do: 'append', number, body: this.encoder.encode(each.text), reset: each.reset }
            : each.snapshot === undefined
              ? { do: 'image', number, body: each.image }
              : { do: 'snapshot', number, snapshot: each.snapshot, body: each.image },
        );
    this.gathered.clear();
    return this.client.send(changes);
  }

  read<A extends Ask>(ask: A): Promise<Answers[A['of']]> {
    return this.client.read(ask);
  }
}
