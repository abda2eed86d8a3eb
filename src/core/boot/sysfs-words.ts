/**
 * The words of `/sys/kernel/iommu_groups/N/type` as kinds of `policy.invalidation`: `DMA` is translation with `strict`, `DMA-FQ` with
 * `flush-queue`, `identity` is passthrough, `auto` what the kernel would choose by itself: what its command line says, else lazy, as
 * on x86 today. A resolved spec has none of them.
 *
 * Source: Linux `Documentation/ABI/testing/sysfs-kernel-iommu_groups`, `drivers/iommu/iommu.c`.
 */

import { modes } from '../os/mode/index.ts';
import type { ResolvedSpec } from '../spec.ts';
import { SpecError } from '../spec-error.ts';
import type { Wish } from './members.ts';

type Plain = Record<string, unknown>;

/** Word -> kind; null: see above. */
export const sysfsWords: Readonly<Record<string, string | null>> = {
  DMA: 'strict',
  'DMA-FQ': 'flush-queue',
  identity: null,
  auto: null,
};

/**
 * @param own what people sent
 * @param base what it will be merged into
 * @throws SpecError when word and mode contradict each other
 */
export function withoutAliases(own: Plain, base: ResolvedSpec, wishes: readonly Wish[]): Plain {
  const policy = own.policy as Plain | undefined;
  const invalidation = policy?.invalidation as Plain | undefined;
  const word = invalidation?.kind;
  if (typeof word !== 'string' || !Object.hasOwn(sysfsWords, word)) return own;
  const { kind: _kind, ...parameters } = invalidation!;
  const { invalidation: _invalidation, ...others } = policy!;
  const mode = others.mode as string | undefined;
  if (word === 'identity') {
    if (mode !== undefined && mode !== 'passthrough') throw contradiction(word, mode);
    return { ...own, policy: { ...others, mode: 'passthrough' } };
  }
  const kind = sysfsWords[word] ?? chosen(wishes, base);
  if (word !== 'auto') {
    if (mode !== undefined && modes[mode]?.direct) throw contradiction(word, mode);
    if (mode === undefined && modes[base.policy.mode]!.direct) others.mode = 'translate';
  }
  return { ...own, policy: { ...others, invalidation: { ...parameters, kind } } };
}

/** By itself the kernel follows its command line, and puts flushes off when that is silent. */
function chosen(wishes: readonly Wish[], base: ResolvedSpec): string {
  const said = wishes.some(({ member }) => member === '/policy/invalidation/kind');
  return said ? base.policy.invalidation.kind : 'flush-queue';
}

function contradiction(word: string, mode: string): SpecError {
  const message = `"${word}" is a domain type with ${word === 'identity' ? 'no translation' : 'translation'}, and policy.mode is "${mode}"`;
  return new SpecError([{ path: '/policy/invalidation/kind', message }]);
}
