/** The checker of replies is seen to fail: each of these replies breaks the contract in one way. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { checkReply, type SeenReply } from './conformance.ts';

const GOOD: SeenReply = {
  method: 'POST',
  url: '/v1/sessions/s/advance?x=1',
  status: 200,
  contentType: 'application/json; charset=utf-8',
  headers: {},
  body: '{"timeNs":5,"fired":0}',
};
const PROBLEM = {
  type: '/problems/not-found',
  title: 'T',
  status: 404,
  detail: 'd',
  code: 'not-found',
  retryable: false,
};
const NOT_FOUND: SeenReply = {
  ...GOOD,
  status: 404,
  contentType: 'application/problem+json',
  body: JSON.stringify(PROBLEM),
};
const OPS: SeenReply = {
  ...GOOD,
  url: '/v1/sessions/s/ops',
  contentType: 'application/x-ndjson',
  body: '{"line":1,"op":"advance","ok":true,"result":{}}\n',
};

it('accepts what fits', () => {
  for (const reply of [GOOD, NOT_FOUND, OPS]) checkReply(reply);
});

const broken: [string, SeenReply][] = [
  ['a status that is not listed', { ...GOOD, status: 201 }],
  ['a content type that is not listed', { ...GOOD, contentType: 'text/plain' }],
  ['no content type', { ...GOOD, contentType: null }],
  ['a missing member', { ...GOOD, body: '{"fired":0}' }],
  ['a member of another type', { ...GOOD, body: '{"timeNs":"5","fired":0}' }],
  ['a number above its maximum', { ...GOOD, body: '{"timeNs":9007199254740992,"fired":0}' }],
  ['a problem with an unknown member', { ...NOT_FOUND, body: JSON.stringify({ ...PROBLEM, stack: 'at ...' }) }],
  ['a problem whose status is another', { ...NOT_FOUND, body: JSON.stringify({ ...PROBLEM, status: 400 }) }],
  ['a problem sent as plain JSON', { ...NOT_FOUND, contentType: 'application/json' }],
  ['success at a path that the contract does not have', { ...GOOD, url: '/v1/elsewhere' }],
  [
    '405 without Allow',
    { ...NOT_FOUND, method: 'PUT', status: 405, body: JSON.stringify({ ...PROBLEM, status: 405 }) },
  ],
  ['201 without Location', { ...GOOD, url: '/v1/sessions/s/tenants', status: 201, body: '{"id":"ten_1"}' }],
  ['a reply line that is both', { ...OPS, body: OPS.body.replace('}}', `},"problem":${JSON.stringify(PROBLEM)}}`) }],
  ['a reply line that is neither', { ...OPS, body: '{"line":1,"op":"advance","ok":true}\n' }],
  [
    'an upper-case address',
    {
      ...GOOD,
      url: '/v1/sessions/s/buffers',
      status: 201,
      headers: { location: '/x' },
      body: '{"id":"b","physicalAddress":"0xABC"}',
    },
  ],
];
for (const [what, reply] of broken) {
  it(`refuses ${what}`, () => {
    assert.throws(() => checkReply(reply), assert.AssertionError);
  });
}
