/** The golden scenarios through the TypeScript client, as a list of operations and as a source of them: what is written down, and one digest. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { IommuLab, type Operation, type SessionInput } from '../../clients/typescript/src/index.ts';
import { playDirectly } from '../scenarios/drivers.ts';
import {
  expectedFile,
  expectedText,
  linesOf,
  type Played,
  readScenario,
  type Scenario,
  scenarioNames,
} from '../scenarios/scenarios.ts';
import { type RealServer, startServer } from './server.ts';

let server: RealServer;
let lab: IommuLab;

before(async () => {
  server = await startServer();
  lab = new IommuLab(server.address);
});
after(() => server.stop());

async function* oneByOne(operations: Operation[]): AsyncGenerator<Operation> {
  yield* operations;
}

async function play({ name, spec, ops }: Scenario, form: 'list' | 'source'): Promise<Played> {
  const session = `${name}-${form}`;
  await lab.createSession({ ...(spec as SessionInput), name: session });
  const operations = linesOf(ops) as unknown as Operation[];
  const source = form === 'list' ? operations : oneByOne(operations);
  const replies = await lab.ops(session, source, { onError: 'continue' }).all();
  const faults = await lab.getFaults(session, { limit: 1000 });
  const metrics = await lab.getMetrics(session);
  const { digest } = await lab.getSession(session);
  return { replies, faults, metrics, digest } as unknown as Played;
}

for (const name of scenarioNames())
  describe(name, () => {
    const scenario = readScenario(name);
    for (const form of ['list', 'source'] as const)
      it(`answers a ${form} what is written down`, async () => {
        const played = await play(scenario, form);
        assert.equal(expectedText(played), readFileSync(expectedFile(name), 'utf8'));
        assert.equal(played.digest, playDirectly(scenario).digest);
      });
  });
