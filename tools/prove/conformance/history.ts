/**
 * A random history of a combination, with its invariants looked at after each operation.
 *
 * No two live mappings share an address (where addresses are handed out at all); what is mapped can be reached; an address comes back
 * only when no window on it is open, unless the policy says otherwise; what a policy without windows has unmapped faults; misuse is
 * found; and once all is given back nothing is left: no mapping, no address, no entry held back, no frame. A failure is injected at
 * the n-th chance, of addresses or of frames, and changes none of that.
 */
import type { Operation, Outcome } from '../../../src/core/operations.ts';
import { policies } from '../../../src/core/os/invalidation/index.ts';
import { NO_PFN } from '../../../src/core/os/iova/allocator.ts';
import { allocators } from '../../../src/core/os/iova/index.ts';
import { modes } from '../../../src/core/os/mode/index.ts';
import { resolveSpec } from '../../../src/core/resolve-spec.ts';
import { Digest } from '../../../src/core/sim/digest.ts';
import { Simulator } from '../../../src/core/simulator.ts';
import type { Combination } from './combinations.ts';

export interface History {
  combination: Combination;
  seed: number;
  operations: number;
  /** Steps of a search before it yields; the digest must not depend on it. */
  searchBudget?: number;
  /** The n-th allocation of an address, or of frames, fails. */
  failure?: { of: 'address' | 'frame'; at: number };
  /** Called before each operation and between slices: the simulator to go on with, the same or one in the same state. */
  renew?: (simulator: Simulator) => Simulator;
}

export interface Played {
  complaints: string[];
  digest: string;
  maps: number;
  failures: number;
  misuse: number;
  packets: number;
  /** Of every outcome, and of the run's result. */
  outcomes: string;
}

interface Live {
  id: string;
  device: string;
  domain: number;
  /** First and last IOVA page of each output segment. */
  pages: [number, number][];
  /** The same in bytes, the end exclusive. */
  bytes: [number, number][];
  iova: string;
  lengthBytes: number;
  direction: 'to-device' | 'from-device' | 'bidirectional';
  list: boolean;
  buffers: string[];
}

/** Numbers from a seed: the history is the same wherever it runs. */
function numbers(seed: number): (below: number) => number {
  let state = (seed * 2654435761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Two devices in one domain, one of them short-sighted, and one by itself; all memory is a guest's, as the modes of guests need it. */
export function specOf({ allocator, invalidation, mode, cpus }: Combination): Record<string, unknown> {
  return {
    machine: { cpus, memoryBytes: 2 ** 27, frameReuse: 'random' },
    policy: { mode, allocator: { kind: allocator }, invalidation: { kind: invalidation } },
    tenants: [{ name: 'guest', kind: 'vm' }],
    domains: [
      { name: 'shared', tenant: 'guest' },
      { name: 'other', tenant: 'guest' },
    ],
    devices: [
      { name: 'a', kind: 'nic', domain: 'shared' },
      { name: 'b', kind: 'custom', domain: 'shared', dmaMaskBits: 32 },
      { name: 'c', kind: 'custom', domain: 'other' },
    ],
  };
}

/** Modes in which the kernel hands out addresses, so that no two mappings have one in common. */
const SHARES_ADDRESSES = new Set(['passthrough', 'direct']);
/** Modes whose addresses are of less than a page: two mappings may be beside each other in one. */
const SHARES_PAGES = new Set(['bounce']);
/** Modes that translate each mapping, so that the policy says what is left of it. */
const TRANSLATES = new Set(['translate', 'emulated', 'paravirtual', 'nested']);
/** Modes in which an unmap leaves the device what it had. */
const STANDS = new Set(['passthrough', 'bounce', 'shadow', 'direct']);
const COMPLAINTS_LAST = 20;

class Player {
  simulator: Simulator;
  private readonly outcomes = new Digest();
  readonly complaints: string[] = [];
  private readonly draw: (below: number) => number;
  private readonly history: History;
  private readonly live: Live[] = [];
  private readonly dead: { device: string; iova: string; page: number; domain: number }[] = [];
  private step = 0;
  maps = 0;
  failures = 0;
  misuse = 0;
  packets = 0;

  constructor(history: History) {
    this.history = history;
    this.draw = numbers(history.seed);
    this.simulator = new Simulator(resolveSpec({ seed: history.seed, ...specOf(history.combination) }));
    this.simulator.searchBudget = history.searchBudget ?? Number.POSITIVE_INFINITY;
  }

  private complain(line: string): void {
    if (this.complaints.length < COMPLAINTS_LAST) this.complaints.push(`step ${this.step}: ${line}`);
  }

  private renew(): void {
    if (this.history.renew !== undefined) this.simulator = this.history.renew(this.simulator);
  }

  private apply(operation: Operation): Outcome {
    this.renew();
    let outcome = this.simulator.apply(operation);
    while (outcome === null) outcome = this.simulator.resume();
    this.outcomes.text(JSON.stringify(outcome));
    return outcome;
  }

  heard(): string {
    return this.outcomes.hex();
  }

  /** Result of an operation that nothing stands in the way of; null when the kernel ran out of something. */
  private expect(operation: Operation): Record<string, unknown> | null {
    const outcome = this.apply(operation);
    if (outcome.status === 'ok') return outcome.result;
    if (outcome.status === 'failed') this.failures++;
    else this.complain(`${JSON.stringify(operation)} was refused: ${outcome.problem.detail}`);
    return null;
  }

  /** Lets the n-th allocation fail, once. */
  inject(): void {
    const { failure } = this.history;
    if (failure === undefined) return;
    const { simulator } = this;
    this.chancesLeft = failure.at;
    if (failure.of === 'frame') {
      const { memory } = simulator;
      const allocate = memory.allocate.bind(memory);
      memory.allocate = (frames, tenant) => (--this.chancesLeft === 0 ? -1 : allocate(frames, tenant));
      return;
    }
    for (const { iova } of simulator.domains) {
      if (iova === null) continue;
      const { allocate } = iova;
      // A failing attempt is retried above 4 GiB by some: two in a row.
      const failing: typeof allocate = (pages, limitPfn) => {
        const left = --this.chancesLeft;
        return left === 0 || left === -1 ? NO_PFN : allocate(pages, limitPfn);
      };
      Object.assign(iova, { allocate: failing });
    }
  }

  /** Chances until the injected failure; below 1 it has come. */
  private chancesLeft = 0;

  /** An injected failure that no call ever meets shows nothing. */
  private assertInjected(): void {
    const { failure, combination } = this.history;
    if (failure?.at !== 1 || this.chancesLeft < 1) return;
    if (failure.of === 'frame' || modes[combination.mode]!.allocates)
      this.complain(`no ${failure.of} was asked for where the first one fails`);
  }

  private map(): void {
    const { draw } = this;
    const device = 'abc'[draw(3)]!;
    const direction = (['to-device', 'from-device', 'bidirectional'] as const)[draw(3)]!;
    const cpu = draw(this.history.combination.cpus);
    const list = draw(4) === 0;
    const buffers: string[] = [];
    const sizes = list ? Array.from({ length: 1 + draw(4) }, () => 4096 * (1 + draw(3))) : [1 + draw(6 * 4096)];
    for (const lengthBytes of sizes) {
      const buffer = this.expect({ op: 'buffer', lengthBytes, tenant: 'guest' });
      if (buffer !== null) buffers.push(buffer.id as string);
    }
    if (buffers.length < sizes.length) {
      for (const buffer of buffers) this.expect({ op: 'free', buffer });
      return;
    }
    const mapped = this.expect(
      list
        ? { op: 'map', device, kind: 'sg', direction, cpu, segments: buffers.map((buffer) => ({ buffer })) }
        : { op: 'map', device, kind: draw(2) === 0 ? 'single' : 'page', direction, cpu, buffer: buffers[0]! },
    );
    if (mapped === null) {
      for (const buffer of buffers) this.expect({ op: 'free', buffer });
      return;
    }
    this.maps++;
    const domain = device === 'c' ? 1 : 0;
    const segments = mapped.segments as { iova: string; lengthBytes: number }[];
    const pages = segments.map(({ iova, lengthBytes }): [number, number] => {
      const at = BigInt(iova);
      return [Number(at >> 12n), Number((at + BigInt(lengthBytes) - 1n) >> 12n)];
    });
    const bytes = segments.map(({ iova, lengthBytes }): [number, number] => [Number(iova), Number(iova) + lengthBytes]);
    const entry: Live = {
      id: mapped.id as string,
      device,
      domain,
      pages,
      bytes,
      iova: mapped.iova as string,
      lengthBytes: sizes[0]!,
      direction,
      list,
      buffers,
    };
    const { mode, invalidation } = this.history.combination;
    if (SHARES_PAGES.has(mode))
      for (const other of this.live)
        if (other.domain === domain)
          for (const [from, to] of other.bytes)
            if (bytes.some(([start, end]) => start < to && end > from))
              this.complain(`${entry.iova} overlaps the live ${other.iova}`);
    for (const [first, last] of pages) {
      if (!SHARES_PAGES.has(mode) && !SHARES_ADDRESSES.has(mode))
        for (const other of this.live)
          if (other.domain === domain)
            for (const [from, to] of other.pages)
              if (first <= to && last >= from)
                this.complain(`${entry.iova} overlaps the live ${other.iova}: pages ${first}-${last}, ${from}-${to}`);
      if (device === 'b' && last > 0xfffff) this.complain(`${entry.iova} is beyond the 32 bits of the device`);
      if (policies[invalidation]!.reusesBeforeFlush === true) continue;
      const truth = this.simulator.domains[domain]!.pages;
      for (let page = first; page <= last; page++)
        if ((truth.peek(page)?.window[page & 511] ?? -1) !== -1)
          this.complain(`${entry.iova} came back while a stale translation may answer for it`);
    }
    this.live.push(entry);
    for (let i = this.dead.length - 1; i >= 0; i--) {
      const { page, domain: of } = this.dead[i]!;
      if (of === domain && pages.some(([first, last]) => page >= first && page <= last)) this.dead.splice(i, 1);
    }
  }

  private unmap(at: number): void {
    const [entry] = this.live.splice(at, 1);
    const { id, device, iova, lengthBytes, direction, list, buffers, pages, domain } = entry!;
    const cpu = this.draw(this.history.combination.cpus);
    const how = list ? 0 : this.draw(8);
    const operation: Operation =
      how < 5
        ? { op: 'unmap', mapping: id, cpu }
        : {
            op: 'unmap',
            device,
            iova,
            lengthBytes: how === 6 ? lengthBytes + 1 : lengthBytes,
            direction: how === 7 ? (direction === 'to-device' ? 'from-device' : 'to-device') : direction,
            cpu,
          };
    const unmapped = this.expect(operation);
    if (unmapped === null) return;
    const found = ((unmapped.misuse ?? []) as { check: string }[]).map(({ check }) => check);
    const wanted = how === 6 ? 'size' : how === 7 ? 'direction' : null;
    // Without addresses of their own two mappings may share one, and then the other may be what was meant.
    if (wanted !== null && !found.includes(wanted)) this.complain(`misuse ${wanted} was not found: ${found}`);
    if (wanted === null && found.length > 0) this.complain(`misuse where there is none: ${found}`);
    this.misuse += found.length;
    if (how === 5) {
      const again = this.expect(operation);
      const checks = ((again?.misuse ?? []) as { check: string }[]).map(({ check }) => check);
      if (!checks.includes('not-mapped')) this.complain(`an unmap of what was unmapped was not found: ${checks}`);
      this.misuse++;
    }
    for (const buffer of buffers) this.expect({ op: 'free', buffer });
    this.dead.push({ device, iova, page: pages[0]![0], domain });
    if (this.dead.length > 32) this.dead.shift();
  }

  private touchLive(): void {
    const entry = this.live[this.draw(this.live.length)]!;
    const access = entry.direction === 'to-device' ? 'read' : 'write';
    // Of a list, its first output segment; the first buffer of a list is no shorter than a page.
    const lengthBytes = entry.list ? 64 : entry.lengthBytes;
    const touched = this.expect({ op: 'dma', device: entry.device, iova: entry.iova, lengthBytes, access });
    if (touched === null || touched.verdict === 'ok') return;
    if (policies[this.history.combination.invalidation]!.reusesBeforeFlush === true && touched.verdict !== 'fault')
      return;
    this.complain(`a live mapping at ${entry.iova} answers "${touched.verdict}" to a ${access}`);
  }

  private touchDead(): void {
    const { device, iova } = this.dead[this.draw(this.dead.length)]!;
    const access = this.draw(2) === 0 ? 'read' : 'write';
    const touched = this.expect({ op: 'dma', device, iova, lengthBytes: 1, access });
    if (touched === null) return;
    const { mode, invalidation, allocator } = this.history.combination;
    if (touched.verdict === 'ok') this.complain(`a dead mapping at ${iova} answers "ok" to a ${access}`);
    const leavesNothing =
      policies[invalidation]!.leavesNothing === true && allocators[allocator]!.keepsMappings !== true;
    if (STANDS.has(mode) && touched.verdict === 'stale-cross-tenant')
      this.complain(`${iova} reaches memory of somebody else in the mode ${mode}`);
    if (TRANSLATES.has(mode) && leavesNothing && touched.verdict !== 'fault')
      this.complain(`${invalidation} lets a ${access} of ${iova} through after its unmap: "${touched.verdict}"`);
  }

  play(): void {
    const { draw } = this;
    this.inject();
    for (; this.step < this.history.operations; this.step++) {
      const what = draw(10);
      if (this.live.length < 3 || (what < 3 && this.live.length < 60)) this.map();
      else if (what < 6) this.unmap(draw(this.live.length));
      else if (what < 8 || this.dead.length === 0) this.touchLive();
      else if (what < 9) this.touchDead();
      else this.expect({ op: 'advance', ns: draw(4) === 0 ? 11_000_000 : draw(100_000) });
    }
    this.assertInjected();
  }

  /** Traffic on all CPUs, in slices of so many events. */
  run(slice: number): void {
    const { cpus } = this.history.combination;
    const made = this.expect({
      op: 'workload',
      kind: 'nic-rx',
      device: 'a',
      tenant: 'guest',
      gbps: 10,
      ringSize: 16,
      queues: cpus,
      cpus: Array.from({ length: cpus }, (_, cpu) => cpu),
    });
    if (made === null) return;
    this.renew();
    const started = this.simulator.startRun({ forNs: 40_000 });
    if (started.status !== 'ok') {
      this.complain(`the run did not start: ${JSON.stringify(started)}`);
      return;
    }
    while (!this.simulator.stepRun(slice)) this.renew();
    const result = this.simulator.runResult();
    this.outcomes.text(JSON.stringify(result));
    this.packets = result.operations as number;
    this.expect({ op: 'workload-remove', workload: made.id as string });
  }

  /** Gives everything back. What is left then is lost. */
  takeApart(): void {
    while (this.live.length > 0) this.unmap(this.live.length - 1);
    this.expect({ op: 'advance', ns: 2_000_000_000 });
    for (const device of ['a', 'b', 'c']) this.expect({ op: 'detach', device });
    const { mappings, policy, domains } = this.simulator;
    if (mappings.count !== 0) this.complain(`${mappings.count} mappings are left`);
    if (policy.queued !== 0) this.complain(`${policy.queued} ranges are still held back`);
    for (const { allocator, id } of domains)
      if (allocator !== null && allocator.liveRanges !== 0)
        this.complain(`${allocator.liveRanges} ranges of ${id} are lost`);
    for (const device of ['a', 'b', 'c']) this.expect({ op: 'device-remove', device });
    for (const domain of ['shared', 'other']) this.expect({ op: 'domain-remove', domain });
    const { simulator } = this;
    const metrics = simulator.read({ read: 'metrics' });
    if (metrics.status !== 'ok') throw new Error('the metrics cannot be read');
    const { exposure } = metrics.result as {
      exposure: { potential: { currentPages: number }; actual: { currentPages: number } };
    };
    if (exposure.potential.currentPages !== 0 || exposure.actual.currentPages !== 0)
      this.complain(`windows are open on domains that are gone: ${JSON.stringify(exposure)}`);
    if (simulator.tables.tables !== 0) this.complain(`${simulator.tables.tables} table pages are left`);
    const pool = simulator.bouncePool?.frames ?? 0;
    const lost = simulator.memory.framesInUse - pool;
    if (lost !== 0) this.complain(`${lost} frames are lost`);
  }
}

/** Plays a history to its end. @throws SpecError when the combination cannot be */
export function play(history: History, slice = 1_000): Played {
  const player = new Player(history);
  player.play();
  player.run(slice);
  const digest = player.simulator.digest();
  player.takeApart();
  const { complaints, maps, failures, misuse, packets } = player;
  return { complaints, digest, maps, failures, misuse, packets, outcomes: player.heard() };
}
