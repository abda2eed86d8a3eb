/**
 * `clients/python/iommu_lab.py`: its own tests against a real server, its golden scenarios beside those of the TypeScript client, and
 * every method beside the contract.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { IommuLab, type Operation, type SessionInput } from '../clients/typescript/src/index.ts';
import { contractSchema } from '../src/api/contract.ts';
import { type RealServer, startGuardedServer, startServer } from '../test/clients/server.ts';
import { linesOf, readScenario, scenarioNames } from '../test/scenarios/scenarios.ts';
import { clientOperations } from '../tools/client/operations.ts';
import { pythonName } from '../tools/client/python.ts';
import { python, requirePython } from './python.ts';

const BY_HAND: Record<string, string[]> = { applyOperations: ['onError'], openStream: ['topics', 'everyMs'] };
const WORDS: Record<string, string> = { for_: 'for' };

requirePython();

describe('the Python file', () => {
  let server: RealServer;
  let guarded: RealServer & { token: string };
  let folder: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'iommu-lab-python-'));
    [server, guarded] = await Promise.all([startServer(), startGuardedServer('--base-path', '/lab')]);
  });
  after(async () => {
    await Promise.all([server.stop(), guarded.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  it('passes its own tests, without a warning', async () => {
    const { status, err } = await python(['-m', 'unittest', '-v', 'test_iommu_lab'], {
      IOMMU_LAB_URL: server.address,
      IOMMU_LAB_TOKEN: '',
      IOMMU_LAB_GUARDED_URL: guarded.address,
      IOMMU_LAB_GUARDED_TOKEN: guarded.token,
      IOMMU_LAB_DIGESTS: join(folder, 'digests.json'),
    });
    assert.equal(status, 0, err);
    // None was skipped; and what a thread or a collected object complains of fails no test by itself.
    assert.match(err, /Ran \d+ tests[\s\S]*\nOK\n/);
    assert.doesNotMatch(err, /Warning|Exception ignored|Exception in thread/);
  });

  it('comes to the digests that the TypeScript client comes to', async () => {
    const digests = JSON.parse(readFileSync(join(folder, 'digests.json'), 'utf8')) as Record<string, string>;
    assert.deepEqual(Object.keys(digests).sort(), scenarioNames());
    const lab = new IommuLab(server.address);
    for (const name of scenarioNames()) {
      const { spec, ops } = readScenario(name);
      const session = `${name}-again`;
      await lab.createSession({ ...(spec as SessionInput), name: session });
      await lab.ops(session, linesOf(ops) as unknown as Operation[], { onError: 'continue' }).all();
      assert.equal((await lab.getSession(session)).digest, digests[name], name);
    }
  });
});

describe('the methods of the Python file', () => {
  const ASK = `
import inspect, json, iommu_lab
methods = inspect.getmembers(iommu_lab.Lab, inspect.isfunction)
print(json.dumps({name: {
    "parameters": [[each.name, each.kind.name] for each in inspect.signature(method).parameters.values()],
    "typed": all(each.annotation is not each.empty for each in inspect.signature(method).parameters.values() if each.name != "self")
        and inspect.signature(method).return_annotation is not inspect.Signature.empty,
    "doc": method.__doc__,
} for name, method in methods if not name.startswith("_")}))
`;
  interface Method {
    parameters: [string, string][];
    typed: boolean;
    doc: string | null;
  }
  let methods: Record<string, Method>;
  before(async () => {
    const { out, err } = await python(['-c', ASK]);
    assert.equal(err, '');
    methods = JSON.parse(out) as Record<string, Method>;
  });

  for (const { id, method, path, pathParameters, query, body } of clientOperations())
    it(`has ${id}, with what its path, its query and its body take`, () => {
      const found = methods[pythonName(id)];
      assert.ok(found !== undefined, pythonName(id));
      assert.ok(found.typed, 'with types');
      const names = found.parameters.map(([name]) => WORDS[name] ?? name.replace(/_$/, ''));
      const inPath = names.slice(1, 1 + pathParameters.length);
      assert.deepEqual(
        inPath,
        pathParameters.map(({ name }) => name),
      );
      for (const wanted of BY_HAND[id] ?? query.map(({ name }) => name))
        if (id !== 'applyOperations' && id !== 'openStream') assert.ok(names.includes(wanted), wanted);
      if (BY_HAND[id] !== undefined) return;
      assert.match(found.doc ?? '', new RegExp(`\`${method}\\s+${path.replaceAll(/[{}.]/g, '\\$&')}\``));
      if (body === null) return;
      assert.ok(names.includes('body'));
      // Bytes, not a document.
      if (body.schema === null) return;
      const { properties } = contractSchema(body.schema) as { properties?: object };
      if (properties === undefined) assert.equal(found.parameters.at(-1)?.[1], 'VAR_KEYWORD');
      else for (const name of Object.keys(properties)) assert.ok(names.includes(name), `${id}: ${name}`);
    });

  it('has no method that the contract does not have, but those that are told of', () => {
    const operations = new Set(clientOperations().map(({ id }) => pythonName(id)));
    const further = Object.keys(methods).filter((name) => !operations.has(name));
    assert.deepEqual(further.sort(), [
      'call',
      'close',
      'each',
      'experiment',
      'experiment_arms',
      'experiment_rows',
      'ops',
      'results',
      'run',
      'stream',
      'wait_for_experiment',
      'wait_for_run',
    ]);
  });
});
