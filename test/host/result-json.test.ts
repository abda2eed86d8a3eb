/** The text of results put together by hand, against `JSON.stringify` as the obvious way, over results of the real core. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSimulator, resolveSpec } from '../../src/core/index.ts';
import type { Operation } from '../../src/core/operations.ts';
import { ResultJson } from '../../src/host/result-json.ts';

const ALLOCATORS = ['rbtree-2008', 'rbtree', 'bitmap'];

/** Applies operations and compares the texts; the shapes that were met, by the names of their members. */
function compare(
  spec: Record<string, unknown>,
  play: (apply: (operation: Operation) => Record<string, unknown>) => void,
) {
  const simulator = createSimulator(resolveSpec(spec));
  const json = new ResultJson();
  const shapes = new Set<string>();
  play((operation) => {
    const outcome = simulator.apply(operation);
    assert.equal(outcome?.status, 'ok', JSON.stringify(outcome));
    const { result } = outcome as { result: Record<string, unknown> };
    assert.equal(json.of(JSON.stringify(operation.op), result), JSON.stringify(result));
    shapes.add(`${operation.op}: ${Object.keys(result)}`);
    for (const piece of (result.pages as object[] | undefined) ?? []) shapes.add(`piece: ${Object.keys(piece)}`);
    return result;
  });
  return [...shapes];
}

describe('the text of a result', () => {
  for (const kind of ALLOCATORS) {
    it(`is that of JSON.stringify for every operation under ${kind}`, () => {
      const policy = { allocator: { kind }, invalidation: { kind: 'deferred-2008' } };
      const shapes = compare({ policy, devices: [{ name: 'nic0', kind: 'custom' }] }, (apply) => {
        const device = 'nic0';
        apply({ op: 'buffer', name: 'skb', lengthBytes: 16_384 });
        const iovas: string[] = [];
        for (let nth = 0; nth < 600; nth++) {
          const lengthBytes = 1 + ((nth * 1237) % 9000);
          const direction = nth % 3 === 0 ? 'to-device' : 'from-device';
          const physicalAddress = 2 ** 24 + nth * 16_384 + (nth % 4096);
          const mapped = apply({ op: 'map', device, kind: 'single', direction, physicalAddress, lengthBytes });
          const iova = mapped.iova as string;
          iovas.push(iova);
          const access = nth % 2 === 0 ? 'read' : 'write';
          apply({ op: 'dma', device, iova, lengthBytes, access });
          if (nth % 7 === 0) apply({ op: 'sync', mapping: mapped.id as string, for: 'cpu' });
          apply({ op: 'unmap', mapping: mapped.id as string });
          // Stale, or a fault, or a stranger's by now.
          apply({ op: 'dma', device, iova: iovas[nth >> 1]!, lengthBytes: 64, access });
        }
        const segments = [
          { buffer: 'skb', lengthBytes: 5000 },
          { physicalAddress: 2 ** 25, lengthBytes: 70_000 },
        ];
        const list = apply({ op: 'map', device, kind: 'sg', direction: 'bidirectional', segments });
        const body = { device, lengthBytes: 16_384, direction: 'from-device' } as const;
        const misused = apply({ op: 'unmap', iova: list.iova as string, ...body });
        assert.ok(misused.misuse);
        apply({ op: 'map', device, kind: 'coherent', direction: 'bidirectional', lengthBytes: 8192 });
        apply({ op: 'dma', device, iova: 0x7000, lengthBytes: 10_000, access: 'read' });
        apply({ op: 'advance', ns: 20_000_000 });
        apply({ op: 'invalidate', scope: 'global' });
      });
      const pieces = shapes.filter((shape) => shape.startsWith('piece'));
      assert.ok(pieces.some((shape) => shape.includes('cause')) && pieces.some((shape) => shape.includes('reason')));
      assert.ok(pieces.some((shape) => !shape.includes('cause') && !shape.includes('reason')));
      assert.equal(
        shapes.some((shape) => shape.startsWith('map') && shape.includes('assumptions')),
        kind === 'bitmap',
      );
    });
  }

  it('is that of JSON.stringify where nothing is translated', () => {
    compare({ policy: { mode: 'passthrough' }, devices: [{ name: 'nic0', kind: 'custom' }] }, (apply) => {
      const body = { device: 'nic0', kind: 'single', direction: 'from-device' } as const;
      const mapped = apply({ op: 'map', ...body, physicalAddress: 2 ** 21, lengthBytes: 1500 });
      apply({ op: 'dma', device: 'nic0', iova: mapped.iova as string, lengthBytes: 64, access: 'write' });
      apply({ op: 'unmap', mapping: mapped.id as string });
    });
  });
});

describe('results that share a breakdown', () => {
  it('cannot change it for each other', () => {
    const simulator = createSimulator(resolveSpec({ devices: [{ name: 'nic0', kind: 'custom' }] }));
    const body = { device: 'nic0', kind: 'single', direction: 'from-device', lengthBytes: 64 } as const;
    const outcome = simulator.apply({ op: 'map', ...body, physicalAddress: 2 ** 21 });
    assert.ok(outcome?.status === 'ok');
    const breakdown = outcome.result.breakdown as Record<string, number>;
    assert.throws(() => {
      breakdown.pageTable = 0;
    }, TypeError);
  });
});
