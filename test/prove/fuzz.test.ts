/** The fuzz is seen to see: what it sends is what it is meant to be, and each reply that must not be is complained of. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contractOperations, type Schema } from '../../src/api/contract.ts';
import { Validators } from '../../src/api/validator.ts';
import { diceOf } from '../../tools/prove/dice.ts';
import { type Reply, ReplyReader } from '../../tools/prove/fuzz/connection.ts';
import { complaintOf, rubbishComplaintOf } from '../../tools/prove/fuzz/judge.ts';
import { bytesOf, type FuzzRequest, Requests } from '../../tools/prove/fuzz/requests.ts';
import { Things } from '../../tools/prove/fuzz/things.ts';
import { Values } from '../../tools/prove/fuzz/values.ts';
import { growthOf } from '../../tools/prove/resident.ts';

const GIVEN = { session: ['s0'], device: ['nic0'], domain: ['shared'] };
const bodies = contractOperations.flatMap(({ operationId, definition }) => {
  const { content = {} } = (definition.requestBody ?? {}) as { content?: Record<string, { schema?: Schema }> };
  const { schema } = content['application/json'] ?? {};
  return schema === undefined ? [] : [{ operationId, schema }];
});

describe('what is sent', () => {
  test('fits the schemas it was made from, nearly always, and spoiled seldom does', () => {
    const validators = new Validators(false);
    const values = new Values(1, new Things(GIVEN));
    for (const { operationId, schema } of bodies) {
      const violations = validators.compile(schema);
      let fitting = 0;
      let spoiled = 0;
      for (let i = 0; i < 60; i++) {
        const dice = diceOf(i + 1);
        const made = values.fitting(schema, dice);
        if (violations(JSON.parse(JSON.stringify(made))) === null) fitting++;
        if (violations(JSON.parse(JSON.stringify(values.spoiled(made, dice)) ?? 'null')) === null) spoiled++;
      }
      assert.ok(fitting >= 20, `${operationId}: ${fitting} of 60 fit`);
      assert.ok(spoiled < fitting, `${operationId}: ${spoiled} of 60 fit though they are spoiled`);
    }
  });

  test('reaches every operation of the contract, and more statuses than one', () => {
    const requests = new Requests(new Values(1, new Things(GIVEN)), () => null);
    const met = new Set<string>();
    for (let i = 0; i < 20_000; i++) met.add(requests.make(i, diceOf(i)).operation.operationId);
    assert.deepEqual(
      contractOperations.map(({ operationId }) => operationId).filter((id) => !met.has(id)),
      [],
    );
  });

  test('is the same for the same seed and the same replies', () => {
    const all = [1, 2].map(() => {
      const requests = new Requests(new Values(7, new Things(GIVEN)), () => 'Bearer x');
      return Array.from({ length: 300 }, (_, i) => bytesOf(requests.make(i, diceOf(i))).toString('latin1'));
    });
    assert.deepEqual(all[0], all[1]);
  });

  test('names things that replies have told, but those that are spared', () => {
    const things = new Things({}, ['tok_b']);
    things.learn('{"items":[{"id":"tok_a"},{"id":"tok_b"}],"nextCursor":"c7"}');
    const dice = diceOf(1);
    for (let i = 0; i < 20; i++) assert.equal(things.choose('token', dice), 'tok_a');
    assert.equal(things.choose('cursor', dice), 'c7');
    assert.equal(things.choose('device', dice), null);
  });
});

describe('replies are read', () => {
  const read = (pieces: string[], isHead = false): Reply[] => {
    const replies: Reply[] = [];
    const reader = new ReplyReader(
      () => isHead,
      (reply) => replies.push(reply),
    );
    for (const piece of pieces) reader.feed(Buffer.from(piece, 'latin1'));
    reader.end();
    return replies;
  };
  const two =
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n';

  test('wherever they are cut into pieces', () => {
    for (let at = 0; at < two.length; at++) {
      const [one, other, ...rest] = read([two.slice(0, at), two.slice(at)]);
      assert.deepEqual([one?.status, one?.body, other?.status, other?.body, rest.length], [200, 'ab', 404, 'abc', 0]);
    }
  });

  test('without a body where they are to HEAD, and told apart when they were cut short', () => {
    assert.equal(read(['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'], true)[0]?.body, '');
    assert.equal(read(['HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nab'])[0]?.cut, true);
    assert.equal(read(['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n'])[0]?.cut, true);
  });

  test('up to a length that nobody keeps in memory', () => {
    const chunk = `100000\r\n${'x'.repeat(0x100000)}\r\n`;
    const [reply, ...rest] = read(['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', ...Array(65).fill(chunk)]);
    assert.deepEqual([reply?.long, reply?.cut, reply?.body.length, rest.length], [true, false, 65 * 0x100000, 0]);
  });

  test('or are none', () => {
    for (const text of ['HTTP/1.0 200 OK\r\n\r\n', 'hello\r\n\r\n', 'HTTP/1.1 200 OK\r\na b: c\r\n\r\n'])
      assert.throws(() => read([text]));
  });
});

describe('complained of is', () => {
  const request = (operationId: string): FuzzRequest => {
    const operation = contractOperations.find((each) => each.operationId === operationId)!;
    const target = operation.path.replaceAll(/\{\w+\}/g, 'x');
    return {
      method: operation.method.toUpperCase(),
      target,
      headers: [],
      body: null,
      chunkBytes: 0,
      exact: true,
      operation,
    };
  };
  const problem = (status: number, code: string): Reply => ({
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: JSON.stringify({ type: `/problems/${code}`, title: 'T', status, detail: 'd', code, retryable: false }),
    cut: false,
    long: false,
  });

  const endless: Reply = { status: 200, headers: { 'content-type': 'text/plain' }, body: '#', cut: false, long: true };
  const silent: Reply = { status: 503, headers: { 'retry-after': '1' }, body: '', cut: false, long: false };

  for (const [what, operation, reply] of [
    ['a failure', 'advanceTime', problem(500, 'internal')],
    ['a failed session', 'getSession', problem(500, 'session-failed')],
    ['a session that did not answer in time', 'getMetrics', problem(504, 'timeout')],
    ['a server that ends though nobody told it to', 'getMetrics', problem(503, 'shutting-down')],
    ['a simulated failure where there can be none', 'getMetrics', problem(507, 'no-frame')],
    ['a status that is not listed', 'advanceTime', { ...problem(400, 'invalid-body'), status: 201 }],
    ['a reply that was cut short', 'getMetrics', { ...problem(404, 'unknown-session'), cut: true }],
    [
      'a line of ops that failed',
      'applyOperations',
      {
        status: 200,
        headers: { 'content-type': 'application/x-ndjson' },
        body: `{"line":1,"op":"advance","ok":false,"problem":${problem(500, 'session-failed').body}}\n`,
        cut: false,
        long: false,
      },
    ],
    ['a reply without an end where there may be none', 'getMetrics', { ...endless, status: 200 }],
    ['a refusal without an end', 'exportHistory', { ...endless, status: 404 }],
    ['a server that cannot just now and does not say when', 'getMetrics', { ...silent, headers: {} }],
  ] as const)
    test(what, () => {
      assert.notEqual(complaintOf(request(operation), reply), null);
    });

  test('nothing that may be', () => {
    assert.equal(complaintOf(request('advanceTime'), problem(507, 'no-frame')), null);
    assert.equal(complaintOf(request('advanceTime'), problem(503, 'session-busy')), null);
    assert.equal(complaintOf(request('getSession'), problem(404, 'unknown-session')), null);
    assert.equal(complaintOf(request('exportHistory'), endless), null);
    assert.equal(complaintOf(request('exportHistory'), { ...endless, long: false, cut: true }), null);
    assert.equal(complaintOf({ ...request('exportHistory'), method: 'HEAD', exact: false }, silent), null);
    assert.equal(rubbishComplaintOf(problem(400, 'bad-request')), null);
  });

  test('a reply to HEAD cannot say why it is 503, and any other can', () => {
    const head = { ...request('getMetrics'), method: 'HEAD' };
    const bare = (status: number) => ({ ...problem(status, ''), body: '' });
    assert.equal(complaintOf(head, bare(503)), null);
    assert.notEqual(complaintOf(head, bare(500)), null);
    assert.notEqual(complaintOf(request('getMetrics'), bare(503)), null);
  });

  test('a refusal of rubbish that is no problem document', () => {
    assert.notEqual(
      rubbishComplaintOf({ ...problem(400, 'bad-request'), headers: { 'content-type': 'text/html' } }),
      null,
    );
    assert.notEqual(rubbishComplaintOf({ ...problem(400, 'bad-request'), status: 431 }), null);
  });
});

test('growth is that of the last quarter over the second', () => {
  assert.equal(growthOf([0, 0, 0, 0, 10, 10, 10, 10, 1, 99, 1, 99, 11, 11, 11, 11]), 1.1);
});
