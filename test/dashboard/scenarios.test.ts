/** Every scene of the single-step page does what it says, step by step, on the core; and its steps are requests that the contract has. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import { Simulator } from '../../src/core/simulator.ts';
import {
  curlOf,
  labelsOf,
  labelsText,
  lineOf,
  requestOf,
  resolvedOperation,
} from '../../src/dashboard/step/operations.ts';
import { SCENARIOS } from '../../src/dashboard/step/scenarios.ts';
import { outcomeOf, sentenceOf } from '../../src/dashboard/step/words.ts';

describe('the scenes of the single-step page', () => {
  for (const { id, title, spec, steps } of SCENARIOS)
    test(`${title}`, () => {
      const simulator = new Simulator(resolveSpec({ name: id, ...spec }));
      const results: Record<string, Record<string, unknown>> = {};
      for (const { operation, about, expect = {} } of steps) {
        const plain = resolvedOperation(operation, results);
        const outcome = simulator.apply(JSON.parse(lineOf(plain)) as Operation);
        assert.equal(outcome?.status, 'ok', `${JSON.stringify(plain)}: ${JSON.stringify(outcome)}`);
        const reply = (outcome as { result: Record<string, unknown> }).result;
        for (const [member, value] of Object.entries(expect))
          assert.equal(reply[member], value, `${about} ${JSON.stringify(reply)}`);
        if (operation.as !== undefined) results[operation.as] = reply;
        assert.ok(
          !/\?|undefined|NaN/.test(sentenceOf(plain) + outcomeOf(plain, reply)),
          sentenceOf(plain) + outcomeOf(plain, reply),
        );
        assert.match(requestOf(plain).path, /^\/[a-z]/);
      }
    });
});

describe('an operation of the single-step page', () => {
  const results = { m: { id: 'map_1_0', iova: '0xfffffffffff000' } };

  test('has what its labels stand for, also where an address does not fit a number', () => {
    assert.deepEqual(resolvedOperation({ op: 'dma', device: 'nic0', iova: '$m.iova+4096', as: 'd' }, results), {
      op: 'dma',
      device: 'nic0',
      iova: '0x100000000000000',
      as: 'd',
    });
    assert.equal(resolvedOperation({ op: 'unmap', mapping: '$m' }, results).mapping, 'map_1_0');
    assert.throws(() => resolvedOperation({ op: 'unmap', mapping: '$n' }, results), /\$n/);
  });

  test('can be taken up from a link in the midst of a scene', () => {
    const some = { b: { id: 'buf_0' }, m: { id: 'map_1_0', iova: '0xfffff000', costCycles: 3 } };
    assert.equal(labelsText(some), 'b:buf_0,m:map_1_0@0xfffff000');
    assert.deepEqual(labelsOf(labelsText(some)), { b: { id: 'buf_0' }, m: { id: 'map_1_0', iova: '0xfffff000' } });
    assert.deepEqual(labelsOf(undefined), {});
    assert.deepEqual(labelsOf('nonsense'), {});
  });

  test('is a request, a line of curl and a line of ops', () => {
    const unmap = { op: 'unmap', device: 'nic0', mapping: 'map_1_0', cpu: 1 } as const;
    assert.deepEqual(requestOf(unmap), { method: 'DELETE', path: '/devices/nic0/mappings/map_1_0?cpu=1' });
    assert.equal(lineOf(unmap), '{"op":"unmap","mapping":"map_1_0","cpu":1}');
    const map = { op: 'map', device: 'a/b', buffer: "it's", direction: 'to-device', cpu: '', as: 'x' } as const;
    assert.deepEqual(requestOf(map), {
      method: 'POST',
      path: '/devices/a%2Fb/mappings',
      body: { buffer: "it's", direction: 'to-device' },
    });
    assert.equal(
      curlOf('http://h/v1/sessions/s', requestOf(map)),
      `curl -s 'http://h/v1/sessions/s/devices/a%2Fb/mappings' -H 'content-type: application/json' -d '{"buffer":"it'\\''s","direction":"to-device"}'`,
    );
    assert.equal(lineOf(map), '{"op":"map","device":"a/b","buffer":"it\'s","direction":"to-device","as":"x"}');
  });
});
