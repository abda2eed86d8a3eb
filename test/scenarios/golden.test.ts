/** Every golden scenario, by each way to a simulation: the same replies, the same state, and both as written down. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { SessionHost } from '../../src/host/host.ts';
import { createHost } from '../../src/host/session-host.ts';
import { OverHttp, playDirectly, playInWorker } from './drivers.ts';
import { opsText, recordedNames, replayOf } from './recorded.ts';
import { expectedFile, expectedText, FOLDER, type Played, readScenario, scenarioNames } from './scenarios.ts';

let host: SessionHost;
let http: OverHttp;

before(async () => {
  host = await createHost({ workers: 1 });
  http = await OverHttp.start(host);
});
after(async () => {
  await http.close();
  await host.close();
});

/** Replies with the codes of their problems alone: the rest says where in the request the reason lies. */
function withoutPlace(replies: Played['replies']): unknown[] {
  return replies.map(({ problem, ...reply }) => {
    const code = problem?.code as string | undefined;
    return code === undefined ? reply : { ...reply, code };
  });
}

for (const name of scenarioNames()) {
  const scenario = readScenario(name);
  const directly = playDirectly(scenario);

  describe(`${name}: ${scenario.spec.title}`, () => {
    it('answers what is written down', () => {
      assert.equal(
        expectedText(directly),
        readFileSync(expectedFile(name), 'utf8'),
        'if that is what it should answer: npm run golden -- --update',
      );
    });

    it('is the same in a worker', async () => {
      assert.deepEqual(await playInWorker(host, scenario), directly);
    });

    it('is the same over HTTP as one ops request', async () => {
      assert.deepEqual(await http.playAsLines(scenario), directly);
    });

    it('is the same over HTTP request by request, but for where a problem says it lies', async () => {
      const played = await http.playOneByOne(scenario);
      assert.deepEqual(withoutPlace(played.replies), withoutPlace(directly.replies));
      assert.deepEqual({ ...played, replies: [] }, { ...directly, replies: [] });
    });
  });
}

describe('the recorded scenarios', () => {
  for (const name of recordedNames)
    it(`${name} has the operations that its recording is converted to`, () => {
      assert.equal(readFileSync(join(FOLDER, `${name}.ops.ndjson`), 'utf8'), opsText(replayOf(name)));
    });

  const verdicts = (name: string) =>
    playDirectly(readScenario(name))
      .replies.filter(({ op }) => op === 'dma')
      .map(({ result }) => result!.verdict);

  it('the ath12k access faults under strict 6.176 ms after the unmap, as recorded', () => {
    const { faults } = playDirectly(readScenario('ath12k-strict'));
    assert.deepEqual(verdicts('ath12k-strict'), ['fault']);
    const [fault] = faults.items as { iova: string; access: string; bdf: string; forensics: Forensics }[];
    assert.deepEqual([fault?.iova, fault?.access, fault?.bdf], ['0xfe980000', 'write', 'c2:00.0']);
    assert.equal(fault?.forensics.lastUnmap.sinceNs, 6_176_000);
    assert.equal(fault?.forensics.verdict, 'use after unmap');
  });

  it('the same access is stale under deferred-2008 where the IOTLB holds the page, and a fault under strict all the same', () => {
    assert.deepEqual(verdicts('ath12k-deferred').slice(0, 2), ['ok', 'stale']);
    assert.deepEqual(verdicts('ath12k-touched-strict'), ['ok', 'fault']);
  });

  it('the allocator hands out the recorded address where the recording goes through the DMA API', () => {
    for (const name of ['ath12k-deferred', 'ath12k-touched-strict']) {
      const { replies } = playDirectly(readScenario(name));
      assert.equal(replies.find(({ op }) => op === 'map')?.result?.iova, '0xfe980000');
      assert.equal(replies.find(({ op }) => op === 'unmap')?.result?.misuse, undefined);
    }
  });
});

interface Forensics {
  lastUnmap: { sinceNs: number };
  verdict: string;
}
