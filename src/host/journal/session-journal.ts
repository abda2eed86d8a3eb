/**
 * The journal in a session worker. Records gather until the worker's outbox seals them; a message that leaves after that, replies and
 * frames alike, is held until they are durable, so that nobody ever sees what a restart could take back.
 */
import type { MessagePort } from 'node:worker_threads';
import { JournalClient } from './client.ts';
import type { Change } from './database.ts';
import type { Answers, Ask, Sizes } from './protocol.ts';
import type { JournalRecord } from './records.ts';

type Gathered = { text: string; reset: boolean } | { image: Uint8Array };

export class SessionJournal {
  private readonly client: JournalClient;
  /** By the number of the session: what is not yet sealed. Lines are an entry from the beginning, each reset, and each image. */
  private readonly gathered = new Map<number, Gathered[]>();
  private readonly encoder = new TextEncoder();

  /** @param sizes told, before what waits for it is posted, of which sessions more or less is kept */
  constructor(port: MessagePort, sizes: (sizes: Sizes) => void) {
    this.client = new JournalClient(port, sizes);
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

  get pending(): boolean {
    return this.gathered.size > 0;
  }

  /** Sends what was gathered. @param settle null once it is durable, else why it is not */
  seal(settle: (failure: string | null) => void): void {
    const changes: Change[] = [];
    for (const [number, entries] of this.gathered)
      for (const each of entries)
        changes.push(
          'image' in each
            ? { do: 'image', number, kind: 'latest', body: each.image }
            : { do: 'append', number, body: this.encoder.encode(each.text), reset: each.reset },
        );
    this.gathered.clear();
    this.client.write(changes, settle);
  }

  read<A extends Ask>(ask: A): Promise<Answers[A['of']]> {
    return this.client.read(ask);
  }
}
