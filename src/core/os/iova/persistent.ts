/**
 * persistent: an unmap keeps the mapping. Address and PTEs stay as they are, and a later map of the same memory takes them over with no
 * search and no table write. The `keptMappings` kept last stay; what must make room, or has been kept for `keptTimeoutMs`, is torn
 * down as any unmap is, through the session's invalidation policy. Addresses come from `rbtree`.
 *
 * Source: Willmann, Rixner, Cox, "Protection strategies for direct access to virtualized I/O devices", USENIX ATC 2008 (persistent
 * mappings; the abstract alone was at hand); Amit, Ben-Yehuda, Tsafrir, Schuster, "vIOMMU", USENIX ATC 2011 (optimistic teardown: 256
 * or 4,096 kept, a limit of 10 ms, 92 % of maps found what they needed). Departs from them: the limit is for each domain; scatter lists
 * in more than one piece, and coherent memory, which is freed with its mapping, are torn down at once.
 *
 * Pathology: the device reaches the memory for as long as the mapping is kept, whatever is cached, and whoever owns it by then. Without
 * `keptTimeoutMs` an idle driver's last buffers stay within reach for ever. And a driver whose buffers never come back pays for both.
 */
import type { DigestSink } from '../../sim/digest-sink.ts';
import type { AllocatorEntry, AllocatorSetup } from './allocator.ts';
import { STEP } from './call.ts';
import { KeptMappings } from './kept-mappings.ts';
import { Rbtree } from './rbtree.ts';

const KEPT_LAST = 65_536;

class Persistent extends Rbtree {
  readonly kept: KeptMappings;

  constructor({ parameters, call, arm = () => {} }: AllocatorSetup) {
    super(call);
    const limitNs = Math.round(Number(parameters.keptTimeoutMs) * 1e6);
    this.kept = new KeptMappings(Number(parameters.keptMappings), limitNs, (delayPs) => arm(delayPs, 0));
  }

  /** What is torn down is looked up in the tree first: it is not at hand as an unmap's own is. */
  override free(pfn: number, pages: number): void {
    const { call } = this;
    const { count } = call;
    super.free(pfn, pages);
    call.change(count, STEP.treeRemove);
  }

  override inspect(): Record<string, number | string | boolean | null> {
    return { ...super.inspect(), kind: 'persistent', ...this.kept.inspect() };
  }

  override digest(sink: DigestSink): void {
    super.digest(sink);
    this.kept.digest(sink);
  }
}

export const persistent: AllocatorEntry = {
  kind: 'persistent',
  schema: {
    type: 'object',
    properties: {
      kind: { const: 'persistent' },
      keptMappings: {
        type: 'integer',
        minimum: 1,
        maximum: KEPT_LAST,
        default: 256,
        description: 'Mappings that a domain keeps after their unmap; vIOMMU (ATC 2011) kept 256 or 4,096.',
      },
      keptTimeoutMs: {
        type: 'number',
        minimum: 0,
        maximum: 60_000,
        default: 0,
        description: 'How long one is kept at most; 0 is without limit. vIOMMU (ATC 2011) had 10.',
      },
    },
    required: ['kind'],
    additionalProperties: false,
  },
  defaults: { kind: 'persistent', keptMappings: 256, keptTimeoutMs: 0 },
  source:
    'Willmann, Rixner, Cox, USENIX ATC 2008 (persistent mappings); vIOMMU, USENIX ATC 2011 (optimistic teardown); addresses from rbtree',
  searches: 'tree',
  costSteps: ['cacheAlloc', 'cacheFree', 'treeAllocFixed', 'treeAllocNode', 'treeFind', 'treeFree'],
  findStep: null,
  circular: false,
  aligned: true,
  longestPages: 2 ** 19,
  always32BitFirst: false,
  keepsMappings: true,
  create: (setup) => new Persistent(setup),
};
