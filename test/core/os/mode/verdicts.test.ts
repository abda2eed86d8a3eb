/**
 * Verdicts under bounce, shadow and direct against the rules read aloud: what is mapped for good in whose eyes, which live mappings
 * there are, byte by byte. The model keeps lists and looks through them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Direction } from '../../../../src/core/operations.ts';
import { Dice, Machine, type Mapped } from '../../build.ts';

interface Live {
  id: string;
  device: string;
  direction: Direction;
  /** Bus addresses, the end exclusive. */
  stretches: [number, number][];
}

const DEVICES = ['a', 'b', 'c'] as const;
const domainOf = (device: string): string => (device === 'c' ? 'other' : 'shared');
const reads = (direction: Direction): boolean => direction !== 'from-device';
const writes = (direction: Direction): boolean => direction !== 'to-device';

abstract class Model {
  readonly live: Live[] = [];

  /** Whether the device gets to a page at all: r, w, both or neither. */
  abstract reach(device: string, page: number): string;
  /** What a byte beside a live mapping of its page is. */
  abstract readonly beside: 'unprotected' | 'subpage';
  mapped(_live: Live): void {}

  verdict(device: string, start: number, end: number, access: 'read' | 'write'): string {
    const page = Math.floor(start / 4096);
    if (!this.reach(device, page).includes(access[0]!)) return 'fault';
    let best = 'unprotected';
    for (const live of this.live) {
      if (domainOf(live.device) !== domainOf(device)) continue;
      if (!(access === 'read' ? reads(live.direction) : writes(live.direction))) continue;
      for (const [from, to] of live.stretches) {
        if (start >= from && end <= to) return 'ok';
        if (from < (page + 1) * 4096 && to > page * 4096) best = this.beside;
      }
    }
    return best;
  }
}

class BounceModel extends Model {
  readonly beside = 'unprotected';
  reach(_device: string, page: number): string {
    return page >= 512 && page < 512 + 256 ? 'rw' : '';
  }
}

class ShadowModel extends Model {
  readonly beside = 'unprotected';
  /** Buffers that were ever made: domain, first page, pages, permission. */
  private readonly buffers: { domain: string; first: number; pages: number; permission: string }[] = [];

  override mapped({ device, direction, stretches }: Live): void {
    for (const [from, to] of stretches)
      this.buffers.push({
        domain: domainOf(device),
        first: from / 4096,
        pages: to - from <= 4096 ? 1 : 16,
        permission: (reads(direction) ? 'r' : '') + (writes(direction) ? 'w' : ''),
      });
  }

  reach(device: string, page: number): string {
    const buffer = this.buffers.find(
      ({ domain, first, pages }) => domain === domainOf(device) && page >= first && page < first + pages,
    );
    return buffer?.permission ?? '';
  }
}

class DirectModel extends Model {
  readonly beside = 'subpage';
  readonly owned: { tenant: string; first: number; pages: number }[] = [];
  reach(device: string, page: number): string {
    const guest = device === 'c' ? 'blue' : 'red';
    return this.owned.some(({ tenant, first, pages }) => tenant === guest && page >= first && page < first + pages)
      ? 'rw'
      : '';
  }
}

const worlds: Record<string, { policy: Record<string, unknown>; model: () => Model }> = {
  bounce: { policy: { mode: 'bounce', bounce: { poolBytes: 2 ** 20 } }, model: () => new BounceModel() },
  shadow: { policy: { mode: 'shadow' }, model: () => new ShadowModel() },
  direct: { policy: { mode: 'direct' }, model: () => new DirectModel() },
};

describe('the verdict of every access is the model’s', () => {
  for (const [name, { policy, model }] of Object.entries(worlds))
    for (const seed of [1, 2, 3])
      test(`${name}, seed ${seed}`, () => {
        const machine = new Machine({
          machine: { memoryBytes: 2 ** 25 },
          policy,
          tenants: [
            { name: 'red', kind: 'vm' },
            { name: 'blue', kind: 'vm' },
          ],
          domains: [
            { name: 'shared', tenant: 'red' },
            { name: 'other', tenant: 'blue' },
          ],
          devices: DEVICES.map((device) => ({ name: device, kind: 'custom', domain: domainOf(device) })),
        });
        const world = model();
        const dice = new Dice(seed);
        const buffers = new Map(
          ['red', 'blue'].map((tenant) => {
            const buffer = machine.buffer(2 ** 17, { tenant });
            if (world instanceof DirectModel)
              world.owned.push({ tenant, first: machine.addressOf(buffer) / 4096, pages: 32 });
            return [tenant, buffer];
          }),
        );
        const seen: Record<string, number> = {};
        for (let step = 0; step < 1500; step++) {
          if (world.live.length < 4 || (dice.chance(3) && world.live.length < 40)) {
            const device = dice.pick(DEVICES);
            const buffer = buffers.get(device === 'c' ? 'blue' : 'red')!;
            const direction = dice.pick(['to-device', 'from-device', 'bidirectional'] as const);
            const range = () => ({
              buffer,
              offsetBytes: dice.below(2 ** 16),
              lengthBytes: dice.pick([64, 100, 1500, 2048, 2049, 4096, 9000]),
            });
            const fields = dice.chance(4) ? { kind: 'sg' as const, segments: [range(), range(), range()] } : range();
            const outcome = machine.apply({
              op: 'map',
              device,
              kind: 'single',
              direction,
              cpu: dice.below(4),
              ...fields,
            });
            if (outcome.status !== 'ok') continue;
            const { id, segments } = outcome.result as unknown as Mapped;
            const stretches = segments.map(({ iova, lengthBytes }): [number, number] => [
              Number(iova),
              Number(iova) + lengthBytes,
            ]);
            const live = { id, device, direction, stretches };
            world.live.push(live);
            world.mapped(live);
          } else if (dice.chance(3)) {
            const [gone] = world.live.splice(dice.below(world.live.length), 1);
            machine.unmap(gone!.id, dice.below(4));
          }
          const device = dice.pick(DEVICES);
          const [from, to] = dice.pick(dice.pick(world.live).stretches);
          const aim = dice.pick([from, from - 64, to - 64, to, from + 2048, to + 4096, 0x300000, from & ~4095]);
          const start = Math.max(0, aim - (aim % 16));
          const end = Math.min(start + dice.pick([16, 64]), start - (start % 4096) + 4096);
          const access = dice.pick(['read', 'write'] as const);
          const piece = machine.touch(device, start, access, end - start);
          const wanted = world.verdict(device, start, end, access);
          assert.equal(piece.verdict, wanted, `step ${step}: ${access} of ${start.toString(16)} by ${device}`);
          assert.equal(piece.cause, wanted === 'unprotected' ? 'no-protection' : undefined);
          seen[wanted] = (seen[wanted] ?? 0) + 1;
        }
        for (const verdict of ['ok', 'fault', 'unprotected', ...(name === 'direct' ? ['subpage'] : [])])
          assert.ok(seen[verdict]! > 30, JSON.stringify(seen));
      });
});
