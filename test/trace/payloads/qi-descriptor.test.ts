import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ABSENT } from '../../../src/trace/event.ts';
import { GRANULARITY, QI_TYPES, QiDescriptor } from '../../../src/trace/payloads/qi-descriptor.ts';

function decode(qw0: bigint, qw1 = 0n): QiDescriptor | null {
  const descriptor = new QiDescriptor();
  const half = (value: bigint): [number, number] => [Number(value >> 32n), Number(value & 0xffffffffn)];
  return descriptor.decode(...half(qw0), ...half(qw1)) ? descriptor : null;
}

describe('an invalidation descriptor', () => {
  it('of the IOTLB names pages, a domain or all', () => {
    const pages = decode(0x800f2n, 0xf9a00005n)!;
    assert.deepEqual(
      [pages.type, pages.granularity, pages.domain, pages.page, pages.pages],
      [QI_TYPES.iotlb_inv, GRANULARITY.pages, 8, 0xf9a00, 32],
    );
    const domain = decode(0x100e2n)!;
    assert.deepEqual([domain.granularity, domain.domain, domain.page], [GRANULARITY.domain, 1, ABSENT]);
    const all = decode(0x12n)!;
    assert.deepEqual([all.granularity, all.domain], [GRANULARITY.all, ABSENT]);
  });

  it('of the IOTLB covers whole powers of two, whatever the address has below', () => {
    for (let mask = 0n; mask < 20n; mask++) {
      const { page, pages } = decode(0x10032n, 0x7fffffffff000n | mask)!;
      assert.equal(pages, Number(1n << mask));
      assert.equal(BigInt(page), (0x7fffffffffn >> mask) << mask);
    }
  });

  it("of a device's TLB tells its size by the lowest 0 of the address", () => {
    const all = decode(0x1000000003n, 0x7ffffffffffff001n)!;
    assert.deepEqual(
      [all.type, all.granularity, all.source, all.page],
      [QI_TYPES.dev_tlb_inv, GRANULARITY.all, 0x10, ABSENT],
    );
    for (let ones = 0n; ones < 20n; ones++) {
      const address = (0x5n << (ones + 14n)) | (((1n << ones) - 1n) << 12n);
      const { granularity, page, pages } = decode(0x3n, address | 1n)!;
      assert.deepEqual([granularity, pages], [GRANULARITY.pages, Number(2n << ones)]);
      assert.equal(BigInt(page), (address >> 12n) & ~((2n << ones) - 1n));
    }
    const one = decode(0x3n, 0x5000n)!;
    assert.deepEqual([one.page, one.pages], [5, 1]);
  });

  it('of a PASID names the PASID', () => {
    const some = decode(0x0001_2345_0009_0036n, 0x7f00_0000_1000n)!;
    assert.deepEqual([some.domain, some.pasid, some.page, some.pages], [9, 0x12345, 0x7f0000001, 1]);
    const device = decode(0x0001_2345_0010_0008n, 0x7f00_0000_1000n)!;
    assert.deepEqual([device.source, device.pasid, device.page], [0x10, 0x12345, 0x7f0000001]);
  });

  it('is none with a type or a granularity that there is not', () => {
    for (const qw0 of [0x0n, 0xan, 0xfn, 0x2n, 0x1n, 0x16n]) assert.equal(decode(qw0), null, qw0.toString(16));
  });
});
