/**
 * Scenes to walk through one step at a time: what protection is, and five ways in which it is late. Each is a spec for a session of its own
 * and steps in the form of `ops`; `expect` is what a test holds every step to (`test/dashboard/scenarios.test.ts`). Pure.
 */
import type { Operation } from './operations.ts';

export interface ScenarioStep {
  operation: Operation;
  /** Why, and what to look at. */
  about: string;
  /** Members of the reply. */
  expect?: Readonly<Record<string, unknown>>;
}

export interface Scenario {
  id: string;
  title: string;
  about: string;
  spec: Record<string, unknown>;
  steps: readonly ScenarioStep[];
}

const PAGE = 4096;
const devices = [{ name: 'nic0', kind: 'custom' }];

const buffer: ScenarioStep = {
  operation: { op: 'buffer', lengthBytes: PAGE, as: 'b' },
  about: 'A driver needs memory: one page.',
};
const map: ScenarioStep = {
  operation: { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', buffer: '$b', as: 'm' },
  about: 'It maps the page for the device: an address from the allocator, a leaf in the page table.',
};
const write = (about: string, verdict: string): ScenarioStep => ({
  operation: { op: 'dma', device: 'nic0', iova: '$m.iova', lengthBytes: 64, access: 'write' },
  about,
  expect: { verdict },
});
const first = write('The device writes. The IOMMU walks the table, caches what it found, and lets it through.', 'ok');
const unmap = (about: string, exposed: boolean): ScenarioStep => ({
  operation: { op: 'unmap', device: 'nic0', mapping: '$m' },
  about,
  expect: { exposed },
});

export const SCENARIOS: readonly Scenario[] = [
  {
    id: 'strict',
    title: 'Strict: a fault after the unmap',
    about: 'The cached translation goes before unmap returns. Whatever the device does afterwards is blocked.',
    spec: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'strict' } }, devices },
    steps: [
      buffer,
      map,
      first,
      unmap('The leaf is cleared and the IOTLB invalidated, which the CPU waits for: see the cost.', false),
      write('The device writes again: nothing translates the address. See the fault log.', 'fault'),
    ],
  },
  {
    id: 'deferred',
    title: 'Deferred: stale access in the window',
    about: 'The invalidation is put off, for speed. Until it comes, the device reaches what it may no longer.',
    spec: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } }, devices },
    steps: [
      buffer,
      map,
      first,
      unmap('Cheap: the leaf is cleared, the range waits in a queue, the IOTLB is left as it is.', true),
      write('The device writes again, by the cached entry: the window is open.', 'stale'),
      {
        operation: { op: 'advance', ns: 10_100_000 },
        about: 'Ten milliseconds later a timer drains the queue: one flush, then the addresses are free.',
      },
      write('The window is closed.', 'fault'),
    ],
  },
  {
    id: 'other-tenant',
    title: 'Deferred: the memory has a new owner',
    about: 'Within the window the page is freed and handed to a virtual machine. The device writes into it.',
    spec: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'flush-queue' } }, devices },
    steps: [
      buffer,
      map,
      first,
      unmap('The driver is done with the page, as far as it knows.', true),
      { operation: { op: 'free', buffer: '$b' }, about: 'So it frees it.' },
      { operation: { op: 'tenant', name: 'guest', kind: 'vm', as: 'g' }, about: 'A guest begins.' },
      {
        operation: { op: 'buffer', lengthBytes: PAGE, tenant: 'guest', as: 'c' },
        about: 'It gets memory: frames are handed out last in, first out, so it gets this very page.',
      },
      write('The device writes at the old address.', 'stale-cross-tenant'),
    ],
  },
  {
    id: 'wrap',
    title: 'Wrap: a slot handed out early',
    about:
      'The bitmap is flushed once a lap, when the cursor wraps. A slot that is freed ahead of the cursor is handed out again in the same lap, with no flush since.',
    spec: {
      policy: { allocator: { kind: 'bitmap', apertureBytes: 2 ** 20 }, invalidation: { kind: 'wrap' } },
      devices,
    },
    steps: [
      {
        operation: {
          op: 'map',
          device: 'nic0',
          kind: 'single',
          direction: 'from-device',
          physicalAddress: '0x1000000',
          lengthBytes: 262144,
          as: 'first',
        },
        about: 'A long mapping: a quarter of the space of 1 MiB.',
      },
      {
        operation: {
          op: 'map',
          device: 'nic0',
          kind: 'single',
          direction: 'from-device',
          physicalAddress: '0x2000000',
          lengthBytes: PAGE,
          as: 'm',
        },
        about: 'A page behind it. The cursor stands after it.',
      },
      {
        operation: { op: 'unmap', device: 'nic0', mapping: '$first' },
        about: 'The long one goes; its bits are free at once.',
      },
      {
        operation: {
          op: 'map',
          device: 'nic0',
          kind: 'single',
          direction: 'from-device',
          physicalAddress: '0x3000000',
          lengthBytes: 262144,
          as: 'again',
        },
        about:
          'As long a one once more: the search wraps, everything is flushed, and the cursor is now before our page.',
      },
      write('The device uses the page: its translation is cached, after that flush.', 'ok'),
      unmap('The page is unmapped: ahead of the cursor.', true),
      {
        operation: {
          op: 'map',
          device: 'nic0',
          kind: 'single',
          direction: 'from-device',
          physicalAddress: '0x4000000',
          lengthBytes: PAGE,
          as: 'm2',
        },
        about: 'The next map gets the same slot, in the same lap.',
      },
      write('The device writes to its new page, and hits the old one.', 'misdirected'),
    ],
  },
  {
    id: 'walk-cache',
    title: 'A walk cache gone stale',
    about:
      'Unmapping what a table page covers frees that page. A cached path still leads there, and the page serves the next mapping: an address that was never touched is reached.',
    spec: {
      iommu: { superpages: [] },
      policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'deferred-2008' } },
      devices,
    },
    steps: [
      { operation: { op: 'buffer', lengthBytes: 2 ** 22, as: 'b' }, about: '4 MiB: two table pages full of leaves.' },
      { operation: { op: 'buffer', lengthBytes: 2 ** 22, as: 'heir' }, about: 'And as much again, for later.' },
      map,
      write('The device touches the first page: IOTLB and walk caches are filled.', 'ok'),
      unmap('All leaves of two table pages are cleared: the pages are given back before any flush.', true),
      {
        operation: { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', buffer: '$heir', as: 'h' },
        about: 'The next map takes those table pages for leaves of its own, at another address.',
      },
      {
        operation: { op: 'dma', device: 'nic0', iova: '$m.iova+4096', lengthBytes: 64, access: 'write' },
        about:
          'The second page of the old mapping was never touched, so no IOTLB entry has it. The cached path leads into the new table.',
        expect: { verdict: 'stale' },
      },
    ],
  },
  {
    id: 'never',
    title: 'Never: the control',
    about: 'No kernel does this: leaves are cleared and nothing is ever invalidated. It shows what the others prevent.',
    spec: { policy: { allocator: { kind: 'rbtree' }, invalidation: { kind: 'never' } }, devices },
    steps: [
      buffer,
      map,
      first,
      unmap('The leaf is gone, the entry stays, the address is free.', true),
      { operation: { op: 'buffer', lengthBytes: PAGE, as: 'c' }, about: 'Another page.' },
      {
        operation: { op: 'map', device: 'nic0', kind: 'single', direction: 'from-device', buffer: '$c', as: 'm2' },
        about: 'It is mapped at the same address.',
      },
      write('What the device writes to the new page lands in the old one.', 'misdirected'),
      {
        operation: { op: 'invalidate', domain: 'dom_0', scope: 'domain' },
        about: 'An invalidation by hand.',
      },
      write('Now it walks the table, and gets it right.', 'ok'),
    ],
  },
];

export const scenarioOf = (id: string | undefined): Scenario | undefined => SCENARIOS.find((each) => each.id === id);
