/**
 * The journal in a session worker. Records gather until the worker's outbox seals them; a message that leaves after that, replies and
 * frames alike, is held until they are durable, so that nobody ever sees what a restart could take back.
 */
import type { MessagePort } from 'node:worker_threads';
import { JournalClient } from './client.ts';
import type { Change, Stretch } from './database.ts';
import type { JournalRecord } from './records.ts';

export class SessionJournal {
  private readonly client: JournalClient;
  /** By the number of the session: lines that are not yet sealed, an entry from the beginning and from each reset. */
  private readonly gathered = new Map<number, { text: string; reset: boolean }[]>();
  private readonly encoder = new TextEncoder();

  constructor(port: MessagePort) {
    this.client = new JournalClient(port);
  }

  append(number: number, record: JournalRecord): void {
    const line = `${JSON.stringify(record)}\n`;
    const reset = 'reset' in record;
    const entries = this.gathered.get(number);
    if (entries === undefined) this.gathered.set(number, [{ text: line, reset }]);
    else if (reset) entries.push({ text: line, reset });
    else entries.at(-1)!.text += line;
  }

  get pending(): boolean {
    return this.gathered.size > 0;
  }

  /** Sends what was gathered. @param settle null once it is durable, else why it is not */
  seal(settle: (failure: string | null) => void): void {
    const changes: Change[] = [];
    for (const [number, entries] of this.gathered)
      for (const { text, reset } of entries)
        changes.push({ do: 'append', number, body: this.encoder.encode(text), reset });
    this.gathered.clear();
    this.client.write(changes, settle);
  }

  read(number: number, after: number): Promise<Stretch> {
    return this.client.read(number, after);
  }
}
