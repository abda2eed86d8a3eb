/** Every line about a session has its id, and says which request it comes from where there is one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostLogger } from '../../src/host/logger.ts';
import { type Origin, underOrigin } from '../../src/host/origin.ts';
import { accepted, FAKE, hostFor, runEnd, until } from './hosts.ts';
import { folderFor } from './journal/folders.ts';

interface Line {
  level: string;
  msg: string;
  session?: string;
  requestId?: string;
  principal?: string;
  traceId?: string;
  worker?: number;
  run?: string;
  state?: string;
  reason?: string;
  owner?: string;
}

function listening(): { logger: HostLogger; lines: Line[]; of(session: string): string[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, msg: string) => void lines.push({ level, msg, ...fields });
  return {
    lines,
    logger: { info: at('info'), warn: at('warn'), error: at('error') },
    of: (id) => lines.filter(({ session }) => session === id).map(({ msg }) => msg),
  };
}

let requests = 0;
/** As a request with an id of its own does it. */
function asRequest<T>(requestId: string, then: () => Promise<T>): Promise<T> {
  requests++;
  const origin: Origin = {
    requestId,
    principal: 'alice',
    traceId: `${requests}`.padStart(32, '0'),
    session: null,
    worker: null,
  };
  return underOrigin(origin, then);
}

test('a life, line by line: made, run, at rest, awake, reset, deleted', async (t) => {
  const { logger, lines, of } = listening();
  const journal = { path: folderFor(t).concat('/sessions.sqlite'), sync: 'never' as const };
  const host = await hostFor(t, { logger, journal, simulatorModule: FAKE, limits: { idleMs: 1 } });
  const { id } = await asRequest('made', () => accepted(host.create({ name: 's' }, 'alice')));
  await until('it rests', () => of(id).includes('session rests'));
  await asRequest('run', () => accepted(host.startRun(id, { operations: 5 })));
  await runEnd(host, id, 'run_1');
  await until('the run is told', () => of(id).includes('run ended'));
  await asRequest('reset', () => accepted(host.reset(id)));
  await asRequest('gone', () => accepted(host.delete(id)));

  for (const line of lines) assert.equal(line.session, id, line.msg);
  const told = of(id);
  for (const msg of ['session created', 'session rests', 'session woken', 'run started', 'run ended', 'session reset'])
    assert.ok(told.includes(msg), `${msg} is not in ${told.join(', ')}`);
  assert.equal(told.at(-1), 'session deleted');
  const requestOf = (msg: string) => lines.find((line) => line.msg === msg)!.requestId;
  assert.deepEqual(
    [
      'session created',
      'session rests',
      'session woken',
      'run started',
      'run ended',
      'session reset',
      'session deleted',
    ].map(requestOf),
    ['made', undefined, 'run', 'run', 'run', 'reset', 'gone'],
  );
  for (const msg of ['session created', 'run started', 'run ended', 'session rests']) {
    const line = lines.find((one) => one.msg === msg)!;
    assert.equal(line.worker, 0, msg);
    if (line.requestId === undefined) continue;
    assert.deepEqual([line.principal, line.traceId?.length], ['alice', 32], msg);
  }
  const [ended] = lines.filter(({ msg }) => msg === 'run ended');
  assert.deepEqual([ended!.run, ended!.state], ['run_1', 'finished']);
});

test('what a worker says of a failure', async (t) => {
  const { logger, lines } = listening();
  const host = await hostFor(t, { logger });
  const { id } = await accepted(host.create({ name: 's' }));
  await asRequest('fatal', () => accepted(host.startRun('s', { until: { metric: 'bug', above: 1 } })));
  await until('it failed', () => lines.some(({ msg }) => msg === 'session failed'));
  const failed = lines.find(({ msg }) => msg === 'session failed')!;
  assert.deepEqual([failed.level, failed.session, failed.worker], ['error', id, 0]);
  assert.match(failed.reason!, /internal error/);
  const ended = lines.find(({ msg }) => msg === 'run ended')!;
  assert.deepEqual([ended.session, ended.state, ended.requestId], [id, 'failed', 'fatal']);
  assert.match(ended.reason!, /internal error/);
});

test('a worker that dies, and who comes back from its journal', async (t) => {
  const { logger, lines, of } = listening();
  const journal = { path: folderFor(t).concat('/sessions.sqlite'), sync: 'never' as const };
  const host = await hostFor(t, { logger, journal, simulatorModule: FAKE });
  const { id } = await accepted(host.create({ name: 's' }));
  const crash = { op: 'map', device: 'crash', kind: 'single', direction: 'to-device' } as const;
  await asRequest('last', () => host.apply(id, { ...crash, physicalAddress: 0, lengthBytes: 1 }));
  await until('it is back', () => of(id).includes('session recovered'));
  assert.deepEqual(of(id), ['session created', 'session recovers', 'session recovered']);
  const died = lines.find(({ msg }) => msg === 'session worker died')!;
  assert.deepEqual([died.level, died.worker], ['error', 0]);
});

test('what goes on when a request is over does not take it for its own', async (t) => {
  const { logger, lines } = listening();
  const host = await hostFor(t, { logger });
  const expiresAt = new Date(Date.now() + 100).toISOString();
  const { id } = await asRequest('made', () => accepted(host.create({ expiresAt })));
  await until('it expired', () => lines.some(({ msg }) => msg === 'session expired'));
  for (const msg of ['session expired', 'session deleted']) {
    const line = lines.find((one) => one.msg === msg)!;
    assert.deepEqual([line.session, line.requestId], [id, undefined], msg);
  }
});

test('a retry that is told what the first request was told makes no session, and says so by silence', async (t) => {
  const { logger, lines } = listening();
  const host = await hostFor(t, { logger });
  const refused = await host.create({ seed: -1 });
  assert.equal(refused.ok, false);
  assert.deepEqual(lines, []);
});
