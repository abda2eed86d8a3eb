/** A simulation and one restored from its image, held against each other. */
import assert from 'node:assert/strict';
import { restoreSimulator } from '../../../src/core/index.ts';
import type { Operation, Outcome, RunRequest } from '../../../src/core/operations.ts';
import type { Reading } from '../../../src/core/reading.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import type { SimulatorApi } from '../../../src/core/simulator-api.ts';

/** The one that a simulator's image is of; that saving left no trace and the image says all is looked at on the way. */
export function restored(simulator: SimulatorApi): Simulator {
  const digest = simulator.digest();
  const { version, operations } = simulator;
  const image = simulator.save();
  assert.deepEqual([simulator.digest(), simulator.version, simulator.operations], [digest, version, operations]);
  // The spec is another object, as it is after a restart.
  const around = simulator instanceof Simulator ? { recordings: simulator.recordings } : {};
  const twin = restoreSimulator(JSON.parse(JSON.stringify(simulator.spec)), image, undefined, around);
  assert.equal(twin.digest(), digest, 'the digest of the restored one is another');
  assert.ok(Buffer.from(twin.save()).equals(image), 'the image of the restored one is another');
  assert.ok(twin instanceof Simulator);
  return twin;
}

/** All that can be read of a simulation. */
export function everything(simulator: Simulator): Record<string, unknown> {
  const all: Record<string, unknown> = {};
  const read = (reading: Reading) => {
    all[JSON.stringify(reading)] = simulator.read(reading);
  };
  for (const list of ['tenants', 'domains', 'devices', 'buffers', 'workloads', 'mappings', 'faults', 'events'] as const)
    read({ read: list, limit: 10_000 });
  for (const whole of ['metrics', 'iotlb', 'walk-cache', 'queues'] as const) read({ read: whole });
  for (const { id, removed } of simulator.domains) {
    if (removed) continue;
    read({ read: 'allocator', domain: id });
    read({ read: 'space', domain: id, limit: 1000 });
  }
  const { timeNs, timePs, operations, version, run } = simulator;
  return {
    ...all,
    timeNs,
    timePs,
    operations,
    version,
    policy: simulator.policyReport(),
    progress: simulator.runProgress(),
    result: run === null ? null : simulator.runResult(),
    wireSeconds: simulator.runWireSeconds(),
  };
}

export class Twins {
  readonly original: Simulator;
  twin: Simulator;

  constructor(original: Simulator) {
    this.original = original;
    this.twin = restored(original);
  }

  /** The twin is restored anew, from the original. */
  renew(): void {
    this.twin = restored(this.original);
  }

  private both<Result>(what: (simulator: Simulator) => Result): Result {
    const result = what(this.original);
    assert.deepEqual(what(this.twin), result);
    return result;
  }

  /** @param budget steps of a search before it yields */
  apply(operation: Operation, budget = Number.POSITIVE_INFINITY): Outcome {
    const outcome = this.both((simulator) => {
      simulator.searchBudget = budget;
      let outcome = simulator.apply(operation);
      while (outcome === null) outcome = simulator.resume();
      return outcome;
    });
    this.compare(outcome.status === 'refused');
    return outcome;
  }

  startRun(request: RunRequest, budget = Number.POSITIVE_INFINITY): Outcome {
    return this.both((simulator) => {
      simulator.searchBudget = budget;
      return simulator.startRun(request);
    });
  }

  stepRun(events: number): boolean {
    const ended = this.both((simulator) => simulator.stepRun(events));
    this.compare(false);
    return ended;
  }

  cancelRun(): void {
    this.both((simulator) => simulator.cancelRun());
    this.compare(false);
  }

  /** @param unchanged spares the digest of a state that is as it was */
  private compare(unchanged: boolean): void {
    this.both((simulator) => simulator.drainNotices(1000));
    if (!unchanged) this.both((simulator) => simulator.digest());
  }

  compareAll(): void {
    this.both(everything);
    assert.ok(Buffer.from(this.original.save()).equals(this.twin.save()), 'their images differ');
  }
}
