/**
 * Operations as the contract allows them, on machines of every mode, allocator and policy: what is refused leaves no trace, so that a
 * journal of what was carried out leads to the same state again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contractSchema, type Schema } from '../../src/api/contract.ts';
import { createLineValidator } from '../../src/api/line-validator.ts';
import { createSimulator, resolveSpec, SpecError } from '../../src/core/index.ts';
import type { Operation, Outcome } from '../../src/core/operations.ts';
import type { SimulatorApi } from '../../src/core/simulator-api.ts';
import { diceOf } from '../../tools/prove/dice.ts';
import { Things } from '../../tools/prove/fuzz/things.ts';
import { pick, Values } from '../../tools/prove/fuzz/values.ts';
import { specOf } from '../../tools/prove/fuzz/world.ts';

const HISTORIES = 400;
const OPERATIONS = 40;
/** Larger ranges take longer and meet nothing else. */
const LARGEST = 2 ** 24;
const GIVEN = {
  tenant: ['guest', 'ten_0', 'ten_1'],
  domain: ['shared', 'own', 'dom_0', 'dom_2'],
  device: ['nic0', 'disk0', 'dev_1', 'dev_2'],
  buffer: ['buf_0', 'buf_1'],
  mapping: ['map_0_1', 'map_1_1'],
  workload: ['w0', 'w1', 'wl_2'],
};
const lines = contractSchema('OperationLine').oneOf as Schema[];
const fits = createLineValidator();
const values = new Values(1, new Things(GIVEN));

function apply(simulator: SimulatorApi, operation: Operation): Outcome {
  let outcome = simulator.apply(operation);
  while (outcome === null) outcome = simulator.resume();
  return outcome;
}

test('what is refused leaves no trace, and what was carried out leads to the same state again', () => {
  let refused = 0;
  let applied = 0;
  for (let seed = 1; seed <= HISTORIES; seed++) {
    const dice = diceOf(seed);
    const spec = specOrNull(specOf('s', dice, 0));
    if (spec === null) continue;
    values.things = new Things(GIVEN);
    const simulator = createSimulator(spec);
    const history: Operation[] = [];
    for (let i = 0; i < OPERATIONS; i++) {
      const operation = values.fitting(pick(lines, dice), dice) as Operation & { as?: string; lengthBytes?: number };
      delete operation.as;
      if (fits(operation as unknown as Record<string, unknown>) !== null || (operation.lengthBytes ?? 0) > LARGEST)
        continue;
      const before = simulator.digest();
      const outcome = apply(simulator, operation);
      values.things.learn(JSON.stringify(outcome));
      const where: string = `seed ${seed}: ${JSON.stringify(operation)} on ${JSON.stringify(spec.policy)}`;
      if (outcome.status === 'refused') {
        refused++;
        assert.equal(simulator.digest(), before, where);
      } else history.push(operation);
    }
    const again = createSimulator(spec);
    for (const operation of history) apply(again, operation);
    assert.equal(again.digest(), simulator.digest(), `seed ${seed}`);
    applied += history.length;
  }
  assert.ok(refused > 1_000 && applied > 1_000, `${refused} refused, ${applied} applied`);
});

function specOrNull(input: unknown) {
  try {
    const spec = resolveSpec(input as Record<string, unknown>);
    createSimulator(spec);
    return spec;
  } catch (error) {
    if (error instanceof SpecError) return null;
    throw error;
  }
}
