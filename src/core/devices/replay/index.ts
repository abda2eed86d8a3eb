/** The workload `replay`: its members, their bounds and defaults. What it does is in `replay.ts`. */
import type { Simulator } from '../../simulator.ts';
import type { WorkloadSpec } from '../../spec.ts';
import type { Misfit, WorkloadEntry } from '../workload.ts';
import { ACCESS_RULES, MOST_RULES } from './accesses.ts';
import { Replay } from './replay.ts';

/** Names of devices that a session may give to those of a recording. */
const MOST_DEVICES = 256;

function check(simulator: Simulator, spec: WorkloadSpec): Misfit | null {
  const { recording, devices, window } = spec as unknown as {
    recording?: string;
    devices?: Record<string, string>;
    window?: { fromNs?: number; toNs?: number };
  };
  if (recording === undefined)
    return { path: '/trace', message: 'names no recording that is here: upload it first, then give its id' };
  if (simulator.recordings.open(recording) === null)
    return { path: '/trace', message: `the recording with the digest ${recording} is not here; upload it again` };
  const given = Object.entries(devices ?? {});
  if (given.length > MOST_DEVICES)
    return { path: '/devices', message: `has ${given.length} names; ${MOST_DEVICES} are the most` };
  for (const [recorded, name] of given)
    if (!simulator.devices.find(name))
      return {
        path: `/devices/${recorded.replaceAll('~', '~0').replaceAll('/', '~1')}`,
        message: `no device "${name}"`,
      };
  if (window?.fromNs !== undefined && window.toNs !== undefined && window.fromNs >= window.toNs)
    return { path: '/window/toNs', message: `must be above ${window.fromNs}` };
  return null;
}

export const replay: WorkloadEntry = {
  kind: 'replay',
  schema: {
    type: 'object',
    required: ['kind', 'device', 'trace'],
    additionalProperties: false,
    properties: {
      name: { type: 'string' },
      kind: { const: 'replay' },
      device: { type: 'string' },
      tenant: { type: 'string' },
      cpus: {
        type: 'array',
        items: { type: 'integer', minimum: 0, maximum: 63 },
        description: 'recorded CPU n is the n-th of these, counted round; all of the machine when absent',
      },
      trace: { type: 'string', description: 'id or name of the recording' },
      recording: {
        type: 'string',
        pattern: '^[0-9a-f]{64}$',
        description: 'digest of its content, by which it is found again; filled in where `trace` is known',
      },
      devices: {
        type: 'object',
        additionalProperties: { type: 'string' },
        description: 'recorded name -> device of the session; all others are `device`',
      },
      pace: { enum: ['recorded', 'closed-loop'] },
      speed: { type: 'number', minimum: 0.001, maximum: 1000, description: 'of the recorded clock' },
      window: {
        type: 'object',
        additionalProperties: false,
        properties: {
          fromNs: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
          toNs: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'exclusive' },
        },
        description: 'of the recording, from its first event',
      },
      invalidations: {
        enum: ['simulated', 'recorded'],
        description: 'those of the policy alone, or those of the recording as well',
      },
      accesses: {
        type: 'array',
        maxItems: MOST_RULES,
        items: {
          type: 'object',
          required: ['rule'],
          additionalProperties: false,
          properties: {
            rule: { enum: [...ACCESS_RULES] },
            order: { enum: ['ascending', 'descending'] },
            bytes: { type: 'integer', minimum: 1, maximum: 4096 },
            beforeUnmapNs: { type: 'integer', minimum: 0, maximum: 1e12 },
            afterUnmapNs: { type: 'integer', minimum: 0, maximum: 1e12 },
          },
        },
        description: 'what the device does with what is mapped, which no kernel records',
      },
      pagesPerEntry: { type: 'integer', minimum: 1, maximum: 1024, description: "of a block transfer's scatter list" },
      bufferBytes: { type: 'integer', minimum: 64, maximum: 65_536, description: 'of a receive buffer, of packets' },
      ringSize: { type: 'integer', minimum: 1, maximum: 65_536, description: 'receive buffers' },
      transmitNs: {
        type: 'integer',
        minimum: 0,
        maximum: 1e9,
        description: 'from the map of a packet that is sent to its unmap. Assumption: 10,000 (1,000 to 100,000)',
      },
    },
  },
  defaults: {
    pace: 'recorded',
    speed: 1,
    invalidations: 'simulated',
    accesses: Object.freeze([Object.freeze({ rule: 'first-and-last' })]),
    pagesPerEntry: 1,
    bufferBytes: 2048,
    ringSize: 256,
    transmitNs: 10_000,
  },
  source: 'a recording; rules for what it does not say are stated in docs/replay.md',
  defaultsFor: () => replay.defaults,
  check,
  create: (simulator, setup) => new Replay(simulator, setup),
};
