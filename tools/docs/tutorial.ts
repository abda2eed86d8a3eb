/** Commands of `docs/tutorial.md`, and of each reply what the page shows. `test/clients/package.test.ts` goes the same way with a client. */
import { CREATED, create, JSON_TYPE, ops, STARTED, startRun } from './commands.ts';
import type { Shown, Step } from './curl.ts';

const get = (path: string): string => `curl -s localhost:8080/v1/${path}`;

const OUTCOME: Shown = {
  state: true,
  result: {
    exposure: {
      potential: { pageSeconds: true, peakPages: true, longestWindowNs: true },
      staleAccesses: true,
    },
    workloads: [{ name: true, throughputGbps: true, iops: true, cyclesPerOperation: true }],
  },
};

/** A machine that runs: the thread's, under the policy of 2008 and under the strict one. */
const machine = (name: string, policy: string): Step[] => [
  { curl: create(`{"name": "${name}", "preset": "thread-2008"${policy}}`), show: CREATED },
  { curl: startRun(name, '{"forNs": 20000000}'), show: STARTED, thenWait: true },
  { curl: get(`sessions/${name}/runs/run_1`), show: OUTCOME },
];

/** One mapping, its unmap, and what the device still reaches. */
const step: Step[] = [
  {
    curl: create('{"name": "step", "devices": [{"name": "nic0", "kind": "nic"}]}'),
    show: { name: true, spec: { policy: { invalidation: true } } },
  },
  {
    curl: ops('step', [
      '{"op": "buffer", "lengthBytes": 4096, "as": "b"}',
      '{"op": "map", "device": "nic0", "kind": "single", "direction": "from-device", "buffer": "$b", "as": "m"}',
      '{"op": "dma", "device": "nic0", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
      '{"op": "unmap", "mapping": "$m"}',
      '{"op": "free", "buffer": "$b"}',
      '{"op": "tenant", "name": "guest", "kind": "vm"}',
      '{"op": "buffer", "tenant": "guest", "lengthBytes": 4096}',
      '{"op": "dma", "device": "nic0", "iova": "$m.iova", "lengthBytes": 64, "access": "write"}',
    ]),
    show: {
      line: true,
      op: true,
      ok: true,
      result: { iova: true, physicalAddress: true, costCycles: true, exposed: true, verdict: true },
    },
  },
  { curl: get('sessions/step/iotlb'), show: { entries: true } },
  { curl: get('sessions/step/queues'), show: { flush: true } },
  {
    curl: `curl -s localhost:8080/v1/sessions/step/advance ${JSON_TYPE} -d '{"ns": 10000000}'`,
    show: { timeNs: true, fired: true },
  },
  { curl: get('sessions/step/iotlb'), show: { entries: true } },
  {
    curl: `curl -s localhost:8080/v1/sessions/step/devices/nic0/dma ${JSON_TYPE} -d '{"iova": "0xfffff000", "lengthBytes": 64, "access": "write"}'`,
    show: { verdict: true },
  },
  { curl: get('sessions/step/faults'), show: { items: [{ message: true, forensics: true }] } },
];

const experiment: Step[] = [
  {
    curl: `curl -s localhost:8080/v1/experiments ${JSON_TYPE} -d '{"name": "policies", "base": {"preset": "thread-2008"}, "vary": {"policy.invalidation.kind": ["strict", "deferred-2008"]}, "until": {"ns": 5000000}, "seeds": [1, 2, 3]}'`,
    show: { name: true },
    thenWait: true,
  },
  { curl: get('experiments/policies'), show: { state: true, jobs: { total: true, finished: true, failed: true } } },
  {
    curl: get('experiments/policies/results'),
    show: {
      arms: [
        {
          id: true,
          label: true,
          throughputGbps: true,
          cyclesPerOperation: true,
          exposure: { longestWindowNs: true, staleAccesses: true },
        },
      ],
      frontier: true,
      dominated: true,
    },
  },
];

export const tutorialScenes: Record<string, Step[]> = {
  'tutorial machine': machine('lazy', ''),
  'tutorial strict': machine('strict', ', "policy": {"invalidation": {"kind": "strict"}}'),
  'tutorial step': step,
  'tutorial experiment': experiment,
};
