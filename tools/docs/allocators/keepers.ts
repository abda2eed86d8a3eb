/** Those that give addresses by what is mapped, keep mappings, or hand out chunks. */
import type { Shown, Step } from '../curl.ts';
import { dma, look, map, onlyTop, operations, session, unmap, unmapAt } from './one-device.ts';

const WITH_COST: Shown = { line: true, op: true, result: { iova: true, breakdown: { iovaAlloc: true } } };

const addresses: Step[] = [
  session('frames', { allocator: { kind: 'identity' }, invalidation: 'strict', machine: { cpus: 4 } }),
  operations(
    'frames',
    [
      map({ physicalAddress: '0x12345000' }),
      map({ physicalAddress: '0x12345000', cpu: 1 }),
      map({ physicalAddress: '0x12345000', cpu: 2 }),
      map({ physicalAddress: '0x12345000' }),
    ],
    WITH_COST,
  ),
  look('frames', { windowPages: true, identities: true, fallbacks: true }),
];

const narrow: Step[] = [
  session('narrow', {
    allocator: { kind: 'identity' },
    invalidation: 'strict',
    machine: { cpus: 4 },
    dmaMaskBits: 32,
  }),
  operations(
    'narrow',
    [
      map({ physicalAddress: '0x12345000' }),
      map({ physicalAddress: '0x12345000', cpu: 1 }),
      map({ physicalAddress: '0x200000000' }),
    ],
    WITH_COST,
  ),
  look('narrow', { identities: true, fallbacks: true }),
];

/** Nothing is ever flushed, and the page is mapped again. */
const again: Step[] = [
  session('again', { allocator: { kind: 'identity' }, invalidation: 'never' }),
  operations('again', [
    map({ physicalAddress: '0x12345000', as: 'a' }),
    dma('a'),
    unmap('a'),
    dma('a'),
    map({ physicalAddress: '0x12345000', as: 'b' }),
    dma('a'),
  ]),
];

/** Guest A's page, unmapped and given to guest B; then guest A's device. */
const reachable = (name: string, allocator: Record<string, unknown>, shown: { [member: string]: Shown }): Step[] => [
  session(name, {
    allocator,
    invalidation: 'strict',
    tenants: ['guest-a', 'guest-b'].map((tenant) => ({ name: tenant, kind: 'vm' })),
    domains: [{ name: 'dom-a', tenant: 'guest-a' }],
    devices: [{ name: 'nic0', kind: 'nic', domain: 'dom-a' }],
  }),
  operations(
    name,
    [
      '{"op": "buffer", "tenant": "guest-a", "lengthBytes": 4096, "as": "mine"}',
      map({ buffer: 'mine', as: 'm' }),
      unmap('m'),
      '{"op": "free", "buffer": "$mine"}',
      '{"op": "buffer", "tenant": "guest-b", "lengthBytes": 4096, "as": "theirs"}',
      '{"op": "advance", "ns": 10000000}',
      dma('m'),
    ],
    {
      line: true,
      op: true,
      ok: true,
      result: { exposed: true, fired: true, verdict: true, ...shown },
    },
  ),
];

const mapUnmap = (physicalAddress: string, as: string, pages = 1): string[] => [
  map({ physicalAddress, as, pages }),
  unmap(as),
];

/** Room for two: a page that comes back, and three that take turns. */
const turns: Step[] = [
  session('turns', { allocator: { kind: 'persistent', keptMappings: 2 }, invalidation: 'strict' }),
  operations(
    'turns',
    [
      ...mapUnmap('0x100000', 'a'),
      ...mapUnmap('0x100000', 'b'),
      ...mapUnmap('0x200000', 'c'),
      ...mapUnmap('0x300000', 'd'),
      ...mapUnmap('0x100000', 'e'),
    ],
    { line: true, op: true, result: { iova: true, costCycles: true } },
  ),
  look('turns', { keptMappings: true, keptHits: true, keptMisses: true, keptEvicted: true }),
];

const large: Step[] = [
  session('large', { allocator: { kind: 'persistent', keptMappings: 2 }, invalidation: 'strict' }),
  operations('large', [...mapUnmap('0x10000000', 'a', 4096), ...mapUnmap('0x20000000', 'b', 4096)]),
  look('large', { livePages: true, keptMappings: true, keptPages: true }),
];

const CHUNKS: Shown = { chunks: true, livePages: true, cachedPages: true };

/** Room for two chunks below 4 GiB, and one page live in each. */
const chunks: Step[] = [
  session('chunks', {
    allocator: { kind: 'contiguous' },
    invalidation: 'strict',
    dmaMaskBits: 32,
    machine: { cpus: 3 },
    iommu: onlyTop(128),
  }),
  operations('chunks', [map({ cpu: 0 }), map({ cpu: 1 }), map({ cpu: 2 })]),
  look('chunks', CHUNKS),
  operations('chunks', [unmapAt('0xfffc0000'), unmapAt('0xfff80000'), map({ cpu: 2 })]),
  look('chunks', CHUNKS),
];

export const keeperScenes: Record<string, Step[]> = {
  'identity addresses': addresses,
  'identity narrow': narrow,
  'identity again': again,
  'persistent reachable': reachable('kept', { kind: 'persistent' }, { pages: [{ from: true, cause: true }] }),
  'persistent limit': reachable('limit', { kind: 'persistent', keptTimeoutMs: 10 }, {}),
  'persistent turns': turns,
  'persistent large': large,
  'contiguous chunks': chunks,
};
