/**
 * The journal's thread: the one writer of the file. What arrives while a commit waits for the disk goes into the next one, so that a
 * busy server pays for few commits and a quiet one waits for none.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { JournalDatabase } from './database.ts';
import { JournalError, messageOf } from './journal-error.ts';
import type { Answers, Ask, FromJournal, FromThread, JournalSettings, Sizes, ToJournal, ToThread } from './protocol.ts';
import type { Change } from './rows.ts';

if (parentPort === null) throw new Error('thread.ts runs as a worker thread of journal.ts');
const parent = parentPort;
const tell = (message: FromThread): void => parent.postMessage(message);
const { path, sync } = workerData as JournalSettings;

interface Waiting {
  port: MessagePort;
  writer: number | null;
  ticket: number;
  changes: readonly Change[];
}

let database: JournalDatabase | null = null;
let waiting: Waiting[] = [];
let armed = false;
/** Writers of which something was lost: what they did next goes on from that, and may not be kept either. Why it was lost. */
const broken = new Map<number, string>();

try {
  database = new JournalDatabase(path, sync);
  const sessions = database.sessions();
  tell({ kind: 'open', sessions, warnings: database.warnings });
} catch (error) {
  if (!(error instanceof JournalError)) throw error;
  tell({ kind: 'refused', reason: error.message });
}

parent.on('message', (message: ToThread) => {
  if (message.kind === 'port') {
    const { port, writer } = message;
    port.on('message', (asked: ToJournal) => take(port, writer, asked));
    port.on('close', () => writer !== null && broken.delete(writer));
    return;
  }
  commit();
  try {
    database?.close();
  } catch {
    // A disk that cannot be written: the log stays, and is read at the next start.
  }
  database = null;
  tell({ kind: 'closed' });
});

function take(port: MessagePort, writer: number | null, message: ToJournal): void {
  if (message.kind === 'write') {
    const { ticket } = message;
    const lost = writer === null ? undefined : broken.get(writer);
    if (lost !== undefined) {
      settle({ port, writer, ticket, changes: [] }, lost, []);
      return;
    }
    waiting.push({ port, writer, ticket, changes: message.changes });
    if (armed) return;
    armed = true;
    setImmediate(commit);
    return;
  }
  // A reader sees what was written before it asked.
  commit();
  const { call, ask } = message;
  let reply: FromJournal;
  try {
    reply = { kind: 'answer', call, answer: read(database!, ask) };
  } catch (error) {
    reply = { kind: 'unreadable', call, reason: messageOf(error) };
  }
  port.postMessage(reply);
}

function read(from: JournalDatabase, ask: Ask): Answers[keyof Answers] {
  switch (ask.of) {
    case 'stretch':
      return from.stretch(ask.number, ask.after);
    case 'image':
      return from.image(ask.number);
    case 'snapshots':
      return from.snapshots(ask.number);
    case 'snapshot':
      return from.snapshot(ask.id);
    case 'snapshot-stretch':
      return from.snapshotStretch(ask.id, ask.after);
    case 'snapshot-body':
      return from.snapshotBody(ask.id);
  }
}

function commit(): void {
  armed = false;
  if (waiting.length === 0) return;
  const told = waiting;
  waiting = [];
  let failure: string | null = null;
  let sizes = new Map<number, number>();
  try {
    if (database === null) throw new JournalError('the journal is closed');
    sizes = database.commit(told.flatMap(({ changes }) => changes));
  } catch (error) {
    failure = messageOf(error);
  }
  // All sizes with the first that each hears.
  const unsaid = new Set([true, false]);
  for (const each of told) settle(each, failure, unsaid.delete(each.writer === null) ? [...sizes] : []);
}

function settle({ port, writer, ticket }: Waiting, failure: string | null, sizes: Sizes): void {
  if (writer === null) {
    port.postMessage({ kind: 'written', ticket, failure, sizes } satisfies FromJournal);
    return;
  }
  if (failure !== null) broken.set(writer, failure);
  tell({ kind: 'settled', writer, ticket, failure, sizes });
}
