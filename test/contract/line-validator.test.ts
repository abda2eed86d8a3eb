/** Checks of `ops` lines: each operation, each with the violation that matters most, and how long a check takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLineValidator } from '../../src/api/line-validator.ts';

const validate = createLineValidator();

describe('lines that fit', () => {
  for (const line of [
    { op: 'tenant', kind: 'vm', name: 'guest-a', memoryBytes: 4096, as: 't' },
    { op: 'domain' },
    { op: 'device', kind: 'nic', bdf: '0000:03:00.0', dmaMaskBits: 32 },
    { op: 'attach', device: 'nic0', domain: 'dom_1' },
    { op: 'detach', device: 'nic0' },
    { op: 'buffer', lengthBytes: 4294967296, physicalAddress: '0xFFF000' },
    { op: 'free', buffer: 'buf_1', force: true },
    {
      op: 'map',
      device: 'nic0',
      kind: 'single',
      direction: 'from-device',
      buffer: 'b',
      offsetBytes: 64,
      lengthBytes: 1500,
      cpu: 3,
    },
    { op: 'map', device: 'nic0', kind: 'page', direction: 'to-device', physicalAddress: 0, lengthBytes: 1 },
    {
      op: 'map',
      device: 'nic0',
      kind: 'sg',
      direction: 'bidirectional',
      segments: [{ buffer: 'b' }, { physicalAddress: 1, lengthBytes: 2 }],
    },
    { op: 'map', device: 'nic0', kind: 'coherent', direction: 'bidirectional', lengthBytes: 8192 },
    { op: 'unmap', mapping: 'map_1', cpu: 1 },
    { op: 'unmap', device: 'nic0', iova: '0xfffff000', lengthBytes: 1500, direction: 'from-device' },
    { op: 'dma', device: 'nic0', iova: 9007199254740991, lengthBytes: 16777216, access: 'read' },
    {
      op: 'iommu-map',
      domain: 'd',
      iova: '0x0',
      physicalAddress: '0x1ffffffffffffff',
      lengthBytes: 4096,
      access: 'rw',
      pageSize: '2MiB',
    },
    { op: 'iommu-unmap', domain: 'd', iova: 4096, lengthBytes: 4096, invalidate: false },
    { op: 'sync', mapping: 'map_1', for: 'cpu', offsetBytes: 0, lengthBytes: 64 },
    { op: 'invalidate', scope: 'global', leafOnly: true },
    { op: 'invalidate', scope: 'domain', domain: 'd' },
    { op: 'invalidate', scope: 'range', domain: 'd', iova: 4096, lengthBytes: 4096 },
    { op: 'advance', ns: 0 },
  ]) {
    it(JSON.stringify(line), () => assert.equal(validate(line), null));
  }
});

describe('lines that do not', () => {
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{}, '/op', /^is required/],
    [{ op: 7 }, '/op', /^must be a string/],
    [{ op: 'mpa' }, '/op', /unknown operation `mpa`.*did you mean `map`\?$/],
    [{ op: 'constructor' }, '/op', /unknown operation `constructor`/],
    [{ op: 'tenant-remove', tenant: 't' }, '/op', /unknown operation/],
    [{ op: 'advance', ns: 1, as: '9' }, '/as', /must be a label/],
    [{ op: 'advance', NS: 1 }, '/NS', /unknown member `NS`, did you mean `ns`\?/],
    [{ op: 'advance', ns: 2 ** 53 }, '/ns', /must be <= 9007199254740991/],
    [{ op: 'dma', device: 'd', iova: '4096', lengthBytes: 1, access: 'read' }, '/iova', /must be a hex string/],
    [{ op: 'dma', device: 'd', iova: 0, lengthBytes: 16777217, access: 'read' }, '/lengthBytes', /must be <= 16777216/],
    [
      { op: 'map', device: 'd', kind: 'sg', direction: 'to-device', segments: [{ bufer: 'b' }] },
      '/segments/0/bufer',
      /did you mean `buffer`/,
    ],
    [
      { op: 'map', device: 'd', kind: 'single', direction: 'to-device', segments: [{ buffer: 'b' }] },
      '/kind',
      /only `sg` takes `segments`/,
    ],
    [{ op: 'map', device: 'd', kind: 'single', direction: 'to-device', physicalAddress: 0 }, '', /takes `lengthBytes`/],
    [
      { op: 'map', device: 'd', kind: 'coherent', direction: 'to-device', buffer: 'b', lengthBytes: 1 },
      '',
      /allocates its own pages/,
    ],
    [{ op: 'unmap' }, '', /takes `mapping`, or/],
    [{ op: 'unmap', mapping: 'm', iova: 1 }, '', /not both/],
    [{ op: 'invalidate', scope: 'global', domain: 'd' }, '', /takes no `domain`/],
    [{ op: 'invalidate', scope: 'range', domain: 'd' }, '', /takes `iova` and `lengthBytes`/],
    [{ op: 'device', kind: 'nic', trusted: true }, '/trusted', /unknown member/],
    [{ op: 'device', kind: 'nic', bdf: '3:0' }, '/bdf', /requester id/],
  ];
  for (const [line, path, message] of cases) {
    it(`${JSON.stringify(line)}: ${path || 'the line'}`, () => {
      const violations = validate(line) ?? [];
      const found = violations.find((violation) => violation.path === path);
      assert.match(found?.message ?? JSON.stringify(violations), message);
    });
  }
});

it('does not change the line', () => {
  const line = { op: 'dma', device: 'd', iova: '0x1', lengthBytes: '5', access: 'read', more: 1 };
  const copy = structuredClone(line);
  validate(line);
  assert.deepEqual(line, copy);
});
