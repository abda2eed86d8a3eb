/**
 * A host without workers and simulation, for tests of what stands around the routes. Sessions count what was applied to them, which
 * is all that tests of retries need to see.
 *
 * In `ops`, `{"op":"refuse"}` is refused and `{"op":"exhaust"}` fails as the simulated kernel does, while `{"op":"break"}` breaks the
 * reply off; everything else is applied and answers the count and, with `"use": "$a"`, the result labelled `a`.
 */
import type {
  AnsweredLines,
  OpsOptions,
  Reply,
  RunDocument,
  SessionDocument,
  SessionHost,
  SnapshotDocument,
} from '../../src/host/host.ts';

export interface FakeHost extends SessionHost {
  /** Operations applied, in all sessions. */
  applied: number;
  /** Sessions created. */
  created: number;
  ready: boolean;
  storageTrouble: string | null;
  /** While set, `apply` waits for it. */
  gate: Promise<void> | null;
  /** The bodies that `ops` got, as text. */
  opsBodies: string[];
  /** What `answered` tells of any key. */
  told: AnsweredLines;
}

const refused = (code: string, detail: string): { ok: false; problem: { code: string; detail: string } } => ({
  ok: false,
  problem: { code, detail },
});

export function fakeHost(): FakeHost {
  const sessions = new Map<string, SessionDocument>();
  const unknown = refused('unknown-session', 'There is no such session.');
  const none = async (): Promise<never> => {
    throw new Error('the fake host does not do that');
  };
  const host: FakeHost = {
    applied: 0,
    created: 0,
    ready: true,
    storageTrouble: null,
    gate: null,
    opsBodies: [],
    told: { lines: [], dropped: false },
    validate: async (input) => ({ ok: true, value: input }),
    create: async (input) => {
      const name = input.name as string | undefined;
      if (name !== undefined && sessions.has(name)) return refused('name-taken', `Another session is named "${name}".`);
      host.created++;
      const id = `ses_${host.created}`;
      const session: SessionDocument = {
        id,
        state: 'idle',
        createdAt: '2026-01-01T00:00:00.000Z',
        timeNs: 0,
        timePs: '0',
        digest: '0'.repeat(64),
        operations: 0,
        spec: {},
        policy: {},
        activeRun: null,
        ...(name === undefined ? {} : { name }),
      };
      sessions.set(id, session);
      if (name !== undefined) sessions.set(name, session);
      return { ok: true, value: session };
    },
    list: async () => ({ ok: true, value: { items: [...new Set(sessions.values())] } }),
    get: async (session) => {
      const found = sessions.get(session);
      return found === undefined ? unknown : { ok: true, value: found };
    },
    rename: none,
    delete: none,
    reset: none,
    apply: async (session) => {
      if (!sessions.has(session)) return unknown;
      await host.gate;
      host.applied++;
      return { ok: true, value: { timeNs: host.applied, fired: 0 } };
    },
    read: none,
    scrape: none,
    idsOf: () => [],
    startRun: none,
    listRuns: none as () => Promise<Reply<{ items: RunDocument[] }>>,
    getRun: none,
    deleteRun: none,
    takeSnapshot: none,
    listSnapshots: none as () => Promise<Reply<{ items: SnapshotDocument[] }>>,
    downloadSnapshot: none,
    deleteSnapshot: none,
    findSnapshot: async () => null,
    history: async () => unknown,
    ops: async (session, body, options) =>
      sessions.has(session) ? { ok: true, value: opsOf(host, body, options) } : unknown,
    resolve: (session) => sessions.get(session)?.id ?? null,
    ownerOf: () => 'local',
    countOf: () => new Set(sessions.values()).size,
    storedBytesOf: () => 0,
    govern() {},
    epochOf: () => null,
    answered: async () => ({ ok: true, value: host.told }),
    listen: () => {},
    status: () => ({
      ready: host.ready,
      sessions: new Set(sessions.values()).size,
      awake: 0,
      recovering: 0,
      storageTrouble: host.storageTrouble,
      workers: 1,
      workersAlive: host.ready ? 1 : 0,
      activeRuns: 0,
      paused: 0,
      storedBytes: 0,
      expired: 0,
      pendingCalls: 0,
    }),
    close: async () => {},
  };
  return host;
}

interface Line {
  op: string;
  as?: string;
  use?: string;
}

async function* opsOf(
  host: FakeHost,
  body: AsyncIterable<Uint8Array>,
  options: OpsOptions,
): AsyncGenerator<Uint8Array> {
  const labels = new Map(options.resume?.labels.map(({ label, result }) => [label, result]));
  let number = options.resume?.linesBefore ?? 0;
  let partial = '';
  const at = host.opsBodies.push('') - 1;
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    const text = decoder.decode(bytes, { stream: true });
    host.opsBodies[at] += text;
    const lines = (partial + text).split('\n');
    partial = lines.pop() as string;
    for (const line of lines) {
      number++;
      if (line.trim() === '') continue;
      const reply = answer(host, labels, number, JSON.parse(line) as Line);
      yield Buffer.from(`${JSON.stringify(reply)}\n`);
      if (!reply.ok && options.onError === 'stop') return;
    }
  }
  if (partial.trim() === '') return;
  yield Buffer.from(`${JSON.stringify(answer(host, labels, number + 1, JSON.parse(partial) as Line))}\n`);
}

function answer(
  host: FakeHost,
  labels: Map<string, object | null>,
  line: number,
  { op, as, use }: Line,
): { ok: boolean } {
  const problem = (status: number): object => ({ line, op, ok: false, problem: { status, code: 'made-up' } });
  if (op === 'break') throw new Error('the worker died');
  if (op === 'refuse') return problem(400) as { ok: boolean };
  host.applied++;
  if (op === 'exhaust') return problem(507) as { ok: boolean };
  const result = { count: host.applied, ...(use === undefined ? {} : { used: labels.get(use.slice(1)) ?? 'nothing' }) };
  if (as !== undefined) labels.set(as, result);
  return { line, op, ok: true, result } as { ok: boolean };
}
