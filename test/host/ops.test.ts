import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OpsOptions, SessionHost } from '../../src/host/host.ts';
import { LONG_NS } from './fake-simulator.ts';
import { accepted, bodyOf, hostFor, linesOf, type ReplyLine, refusal, runEnd, textOf, until } from './hosts.ts';

const STOP: OpsOptions = { onError: 'stop', format: 'ndjson' };
const CONTINUE: OpsOptions = { onError: 'continue', format: 'ndjson' };

const MAP =
  '{"op":"map","device":"nic0","kind":"single","direction":"to-device","physicalAddress":0,"lengthBytes":4096';
const map = (label: string): string => `${MAP},"as":"${label}"}`;
const FULL = '{"op":"map","device":"full","kind":"single","direction":"to-device","physicalAddress":0,"lengthBytes":1';
const advance = (ns: number): string => `{"op":"advance","ns":${ns}}`;

async function exchange(host: SessionHost, body: AsyncIterable<Uint8Array>, options: OpsOptions): Promise<ReplyLine[]> {
  return linesOf(await textOf(await accepted(host.ops('s', body, options))));
}
const codes = (lines: ReplyLine[]): string[] => lines.map((line) => line.problem?.code ?? 'ok');
const numbers = (lines: ReplyLine[]): number[] => lines.map((line) => line.line);

/** A body that ends only when told to. */
function openBody(): { body: AsyncIterable<Uint8Array>; send(text: string): void; end(): void; ended: () => boolean } {
  const queue: (string | null)[] = [];
  let wake = (): void => {};
  let returned = false;
  async function* generate(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        while (queue.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const text = queue.shift()!;
        if (text === null) return;
        yield Buffer.from(text);
      }
    } finally {
      returned = true;
    }
  }
  const push = (text: string | null): void => {
    queue.push(text);
    wake();
  };
  return { body: generate(), send: push, end: () => push(null), ended: () => returned };
}

test('every line that is not blank has one reply, in order, numbered with the blanks', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const body = `\n${advance(1)}\r\n  \t\r\n${advance(2)}\n\n\n${advance(3)}`;
  const lines = await exchange(host, bodyOf(body), STOP);
  assert.deepEqual(lines, [
    { line: 2, op: 'advance', ok: true, result: { timeNs: 1, fired: 0 } },
    { line: 4, op: 'advance', ok: true, result: { timeNs: 3, fired: 0 } },
    { line: 7, op: 'advance', ok: true, result: { timeNs: 6, fired: 0 } },
  ]);
  assert.deepEqual(await exchange(host, bodyOf(), STOP), []);
  assert.deepEqual(await exchange(host, bodyOf('\n\n'), STOP), []);
});

test('the same bytes cut anywhere give the same replies', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const body = Buffer.from(`{"op":"buffer","name":"b","lengthBytes":1}\n${advance(0)}\n{"op":"é😀"}\n${advance(0)}\n`);
  const whole = await exchange(host, bodyOf(body), CONTINUE);
  assert.deepEqual(codes(whole), ['ok', 'ok', 'invalid-body', 'ok']);
  assert.equal(whole[2]!.op, 'é😀');
  for (let cut = 60; cut < body.length; cut++) {
    await accepted(host.reset('s'));
    const lines = await exchange(host, bodyOf(body.subarray(0, cut), body.subarray(cut)), CONTINUE);
    assert.deepEqual(lines, whole);
  }
});

test('what is not an operation is answered in its line, in the form of a problem', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const bad = [
    'nonsense',
    '{"op":"advance"',
    '[1]',
    'null',
    '{}',
    '{"op":5}',
    '{"op":"fly"}',
    '{"op":"advance","ns":"5"}',
    '{"op":"advance","ns":5,"more":1}',
    '{"op":"snapshot"}',
    '{"op":"advance","ns":1,"as":"no label"}',
    `{"op":"advance","ns":1,"x":"${'y'.repeat(65_536)}"}`,
    `${'['.repeat(60_000)}`,
  ];
  const lines = await exchange(host, bodyOf(bad.join('\n')), CONTINUE);
  assert.deepEqual(codes(lines), [
    ...['not-json', 'not-json', 'invalid-body', 'invalid-body', 'invalid-body', 'invalid-body'],
    ...['invalid-body', 'invalid-body', 'invalid-body', 'invalid-body', 'invalid-body'],
    ...['line-too-long', 'not-json'],
  ]);
  assert.deepEqual(
    lines.map((line) => line.op),
    [null, null, null, null, null, null, 'fly', 'advance', 'advance', 'snapshot', 'advance', null, null],
  );
  assert.deepEqual(
    lines.slice(7, 9).map((line) => line.problem!.errors![0]!.path),
    ['/ns', '/more'],
  );
  for (const { problem } of lines) {
    assert.equal(problem!.status, 400);
    assert.ok(problem!.detail.length > 0);
    assert.ok('title' in problem! && 'type' in problem);
  }
  assert.equal((await accepted(host.get('s'))).operations, 0, 'and changed nothing');
});

test('by default the first failure is the last reply, and the rest is not run', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const lines = await exchange(host, bodyOf(`${advance(1)}\n${FULL}}\n${advance(1)}\n`), STOP);
  assert.deepEqual(codes(lines), ['ok', 'iova-exhausted']);
  assert.equal(lines[1]!.problem!.status, 507);
  assert.equal((await accepted(host.get('s'))).timeNs, 1);
});

test('after a stop the client may finish sending, and is not kept waiting for its reply', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const { body, send, end, ended } = openBody();
  const reply = exchange(host, body, STOP);
  send('nonsense\n');
  assert.deepEqual(codes(await reply), ['not-json']);
  for (let i = 0; i < 100; i++) send(`${advance(1)}\n`);
  end();
  await until('the body was read to its end', ended);
  assert.equal((await accepted(host.get('s'))).timeNs, 0);
});

test('labels carry results into later lines', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const lines = await exchange(
    host,
    bodyOf(
      `${[
        map('a'),
        '{"op":"dma","device":"nic0","iova":"$a.segments[1].iova+4095","lengthBytes":1,"access":"read"}',
        '{"op":"dma","device":"nic0","iova":"\\u0024a.iova","lengthBytes":1,"access":"read"}',
        '{"op":"unmap","mapping":"$a"}',
        '{"op":"unmap","mapping":"$a"}',
        map('a'),
        `${FULL},"as":"f"}`,
        '{"op":"unmap","mapping":"$f"}',
        '{"op":"unmap","mapping":"$g"}',
        map('f'),
        '{"op":"unmap","mapping":"$f"}',
        '{"op":"unmap","mapping":"$$f"}',
      ].join('\n')}\n`,
    ),
    CONTINUE,
  );
  assert.deepEqual(codes(lines), [
    ...['ok', 'ok', 'ok', 'ok', 'unknown-mapping', 'label-redefined', 'iova-exhausted'],
    ...['unknown-label', 'unknown-label', 'ok', 'ok', 'unknown-mapping'],
  ]);
  assert.match(lines[11]!.problem!.detail, / \$f$/, 'a literal dollar is no label');
  assert.equal(lines[1]!.result!.iova, '0x1001fff');
  assert.equal(lines[2]!.result!.iova, '0x1000');
  assert.equal(lines[4]!.problem!.status, 400, 'the mapping is named in the body');
  assert.match(lines[7]!.problem!.detail, /line 7\b/);
  assert.equal(lines[7]!.problem!.path, '/mapping');
  assert.doesNotMatch(lines[8]!.problem!.detail, /failed/);

  const next = await exchange(host, bodyOf('{"op":"unmap","mapping":"$f"}'), STOP);
  assert.deepEqual(codes(next), ['unknown-label'], 'labels live for one request');
});

test('a request that is resumed counts on and knows the labels of the lines before', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const [first] = await exchange(host, bodyOf(map('a')), STOP);
  const resume = {
    linesBefore: 3,
    labels: [
      { label: 'a', line: 1, result: first!.result! },
      { label: 'f', line: 3, result: null },
    ],
  };
  const lines = await exchange(host, bodyOf('{"op":"unmap","mapping":"$a"}\n{"op":"unmap","mapping":"$f"}\n'), {
    ...CONTINUE,
    resume,
  });
  assert.deepEqual(codes(lines), ['ok', 'unknown-label']);
  assert.deepEqual(numbers(lines), [4, 5]);
  assert.match(lines[1]!.problem!.detail, /line 3\b/);
});

test('an array is answered by an array', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const ask = async (text: string, onError: 'stop' | 'continue'): Promise<unknown> =>
    JSON.parse(
      await textOf(
        await accepted(host.ops('s', bodyOf(text.slice(0, 9), text.slice(9)), { onError, format: 'array' })),
      ),
    );
  assert.deepEqual(await ask('   []     ', 'stop'), []);
  const body = `[${map('a')}, {"op":"unmap","mapping":"$a"}, 5, ${advance(1)}]`;
  const all = (await ask(body, 'continue')) as ReplyLine[];
  assert.deepEqual(codes(all), ['ok', 'ok', 'invalid-body', 'ok']);
  assert.deepEqual(numbers(all), [1, 2, 3, 4]);
  assert.deepEqual(codes((await ask(body, 'stop')) as ReplyLine[]), ['ok', 'ok', 'invalid-body']);

  const refusedArray = (text: string): Promise<string> =>
    refusal(host.ops('s', bodyOf(text), { onError: 'stop', format: 'array' }));
  assert.equal(await refusedArray('[1'), 'not-json');
  assert.equal(await refusedArray(''), 'not-json');
  assert.equal(await refusedArray('{"op":"advance","ns":1}'), 'invalid-body');
  assert.equal(await refusedArray(`[${Array(10_001).fill(advance(1)).join(',')}]`), 'too-many-operations');
  assert.equal(((await ask(`[${Array(10_000).fill(advance(1)).join(',')}]`, 'stop')) as unknown[]).length, 10_000);
});

test('an array beyond the limit of bytes is refused', async (t) => {
  const host = await hostFor(t, { limits: { opsArrayBytes: 1000 } });
  await accepted(host.create({ name: 's' }));
  const refused = host.ops('s', bodyOf(`[${' '.repeat(1000)}]`), { onError: 'stop', format: 'array' });
  assert.equal(await refusal(refused), 'body-too-large');
});

test('problems before the first line are the reply: unknown session, active run', async (t) => {
  const host = await hostFor(t);
  assert.equal(await refusal(host.ops('s', bodyOf(advance(1)), STOP)), 'unknown-session');
  await accepted(host.create({ name: 's', fake: { eventUs: 50 } }));
  await accepted(host.startRun('s', { operations: 1e9 }));
  assert.equal(await refusal(host.ops('s', bodyOf(advance(1)), STOP)), 'run-active');
});

test('other writers come in between lines; once a run is active, lines are refused until it ends', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { eventUs: 50 } }));
  const { body, send, end } = openBody();
  const replies = (await accepted(host.ops('s', body, CONTINUE)))[Symbol.asyncIterator]();
  const ask = async (line: string): Promise<ReplyLine[]> => {
    send(line);
    return linesOf(Buffer.from((await replies.next()).value).toString());
  };
  assert.deepEqual((await ask(`${advance(1)}\n`))[0]!.result, { timeNs: 1, fired: 0 });
  await accepted(host.apply('s', { op: 'advance', ns: 10 }));
  assert.deepEqual((await ask(`${advance(1)}\n`))[0]!.result, { timeNs: 12, fired: 0 });
  await accepted(host.startRun('s', { operations: 1e9 }));
  assert.deepEqual(codes(await ask(`${advance(1)}\n`)), ['run-active']);
  await accepted(host.deleteRun('s', 'run_1'));
  assert.deepEqual(codes(await ask(`${advance(1)}\n`)), ['ok']);
  end();
  assert.equal((await replies.next()).done, true);
});

test('a run and an ops request on one session both go on', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { eventUs: 20 } }));
  const { body, send, end } = openBody();
  const reply = exchange(host, body, CONTINUE);
  send(`${advance(1)}\n`);
  await until('the line', async () => (await accepted(host.get('s'))).operations === 1);
  await accepted(host.startRun('s', { operations: 20_000 }));
  send(`${advance(1)}\n`.repeat(200_000));
  end();
  const lines = await reply;
  assert.equal(lines.length, 200_001);
  assert.equal((await runEnd(host, 's', 'run_1')).state, 'finished');
});

test('a long operation in a line is sliced, and the lines after it wait', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's', fake: { suspensions: 30, resumeMs: 2 } }));
  const reply = exchange(host, bodyOf(`${advance(1)}\n${advance(LONG_NS)}\n${advance(1)}\n`), STOP);
  await until('the first line', async () => (await accepted(host.get('s'))).operations === 1);
  const single = host.apply('s', { op: 'advance', ns: 5 });
  const lines = await reply;
  assert.deepEqual(codes(lines), ['ok', 'ok', 'ok']);
  assert.equal((await accepted(single)).timeNs, LONG_NS + 6, 'it arrived before the third line had its turn');
  assert.equal(lines[2]!.result!.timeNs, LONG_NS + 7);
});

test('while a million lines are applied, other sessions are answered after a few thousand of them', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  await accepted(host.create({ name: 'other' }));
  let sent = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    const block = Buffer.from(`${advance(1)}\n`.repeat(5000));
    for (; sent < 1_000_000; sent += 5000) yield block;
  }
  const abort = new AbortController();
  const reading = textOf(await accepted(host.ops('s', endless(), { ...STOP, signal: abort.signal })));
  // In lines and not in milliseconds: how long a line takes is the machine's affair. The first answer may wait for the start.
  const waits: number[] = [];
  for (let i = 0; i < 100; i++) {
    const before = sent;
    await accepted(host.apply('other', { op: 'advance', ns: 1 }));
    waits.push(sent - before);
  }
  assert.ok(sent < 1_000_000, 'the request was still going on');
  waits.sort((a, b) => a - b);
  assert.ok(waits[98]! <= 50_000, `answered after ${waits[98]} lines`);
  abort.abort();
  await assert.rejects(reading, /ended the request/);
});

test('a client that goes away stops the request after the line in progress, and what was applied stands', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const abort = new AbortController();
  const body = bodyOf(`${advance(1)}\n`.repeat(500_000));
  const replies = await accepted(host.ops('s', body, { ...STOP, signal: abort.signal }));
  await replies[Symbol.asyncIterator]().next();
  abort.abort();
  await assert.rejects(textOf(replies), /ended the request/);
  const { operations, timeNs } = await accepted(host.get('s'));
  assert.ok(operations > 0 && operations < 500_000, `${operations} lines applied`);
  assert.equal(timeNs, operations);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await accepted(host.get('s'))).operations, operations, 'and nothing after it');
});

test('a body that breaks off cuts the reply; a last line without its end is not run', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`${advance(1)}\n${advance(10)}`);
    await until('the first line', async () => (await accepted(host.get('s'))).operations === 1);
    throw new Error('socket hang up');
  }
  await assert.rejects(exchange(host, broken(), STOP), /socket hang up/);
  assert.equal((await accepted(host.get('s'))).timeNs, 1);
});

test('a client that sends everything before it reads is served as long as the replies fit', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const count = 400_000;
  let sent = false;
  async function* all(): AsyncGenerator<Uint8Array> {
    const block = Buffer.from(`${advance(1)}\n`.repeat(4000));
    for (let i = 0; i < count; i += 4000) yield block;
    sent = true;
  }
  const replies = await accepted(host.ops('s', all(), STOP));
  await until(
    'all is sent and applied',
    async () => sent && (await accepted(host.get('s'))).operations === count,
    20_000,
  );
  const lines = linesOf(await textOf(replies));
  assert.equal(lines.length, count);
  assert.equal(lines[count - 1]!.line, count);
});

test('a slow reader holds the request back: neither input nor replies pile up', async (t) => {
  const limits = { opsInputBytes: 256 * 1024, opsOutputBytes: 1024 * 1024 };
  const host = await hostFor(t, { limits });
  await accepted(host.create({ name: 's' }));
  let sentBytes = 0;
  const block = Buffer.from(`${advance(1)}\n`.repeat(2000));
  const linesPerBlock = 2000;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 400; i++) {
      sentBytes += block.byteLength;
      yield block;
    }
  }
  const replies = await accepted(host.ops('s', endless(), STOP));
  const stalled = async (): Promise<boolean> => {
    const before = (await accepted(host.get('s'))).operations;
    await new Promise((resolve) => setTimeout(resolve, 40));
    return before > 0 && before === (await accepted(host.get('s'))).operations;
  };
  await until('it stands still', stalled);
  const { operations } = await accepted(host.get('s'));
  const replyBytes =
    operations * '{"line":10000,"op":"advance","ok":true,"result":{"timeNs":10000,"fired":0}}\n'.length;
  // One block of replies and one of input may be under way beyond the windows.
  assert.ok(replyBytes < limits.opsOutputBytes + 128 * 1024, `${replyBytes} bytes of replies`);
  const appliedBytes = (operations / linesPerBlock) * block.byteLength;
  assert.ok(
    sentBytes - appliedBytes < limits.opsInputBytes + 2 * 128 * 1024,
    `${sentBytes - appliedBytes} bytes ahead`,
  );

  const lines = linesOf(await textOf(replies));
  assert.equal(lines.length, 400 * linesPerBlock, 'and it goes on when read');
});

test('a request in which nothing moves is cut after the idle time', async (t) => {
  const host = await hostFor(t, { limits: { opsIdleMs: 200, opsRequests: 1 } });
  await accepted(host.create({ name: 's' }));
  const { body, send, ended } = openBody();
  const reply = exchange(host, body, STOP);
  assert.equal(await refusal(host.ops('s', bodyOf(), STOP)), 'too-many-requests');
  send(`${advance(1)}\n`);
  await assert.rejects(reply, /Nothing was sent or taken/);
  send('\n');
  await until('the body is let go', ended);
  assert.deepEqual(await exchange(host, bodyOf(), STOP), [], 'its place is free');
});

test('lines of a session that is deleted meanwhile are answered so', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const { body, send, end } = openBody();
  const reply = exchange(host, body, CONTINUE);
  send(`${advance(1)}\n`);
  await until('the line', async () => (await accepted(host.get('s'))).operations === 1);
  await accepted(host.delete('s'));
  send(`${advance(1)}\n`);
  end();
  assert.deepEqual(codes(await reply), ['ok', 'unknown-session']);
});

test('two ops requests on one session take turns', async (t) => {
  const host = await hostFor(t);
  await accepted(host.create({ name: 's' }));
  const body = (): AsyncIterable<Uint8Array> => bodyOf(`${advance(1)}\n`.repeat(50_000));
  const [one, two] = await Promise.all([exchange(host, body(), STOP), exchange(host, body(), STOP)]);
  const times = [...one, ...two].map((line) => line.result!.timeNs as number).sort((a, b) => a - b);
  assert.deepEqual([times[0], times.at(-1), new Set(times).size], [1, 100_000, 100_000], 'each applied once');
  assert.ok((one[0]!.result!.timeNs as number) < 50_000 && (two[0]!.result!.timeNs as number) < 50_000);
});
