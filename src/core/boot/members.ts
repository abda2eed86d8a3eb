/**
 * From what a command line asks for to members of the spec. Each wish knows its member, whether a spec fulfils it, and what to merge
 * into a spec that is silent there. A wish that an explicit member contradicts stays unfulfilled, and a warning says so.
 */
import { policies } from '../os/invalidation/index.ts';
import { modes } from '../os/mode/index.ts';
import type { Mode, ResolvedSpec } from '../spec.ts';
import { type CommandLine, readCommandLine, type Warning } from './command-line.ts';

export interface Wish {
  /** JSON Pointer of the member of the spec. */
  member: string;
  option: string;
  detail: string;
  fulfilled(spec: ResolvedSpec): boolean;
  /** @param spec what is there before the command line: defaults, then the preset */
  merge(spec: ResolvedSpec): Record<string, unknown> | null;
}

export interface Requests {
  wishes: Wish[];
  warnings: Warning[];
}

/** Largest pool that a session has. */
const POOL_BYTES = 2 ** 30;

/** @param policy as it will be: a word for the GART needs its allocator, a size of the pool a mode that has one */
export function requestsOf(line: string, policy: { mode: Mode; allocator: { kind: string } }): Requests {
  const allocator = policy.allocator.kind;
  const { asked, warnings }: CommandLine = readCommandLine(line);
  const wishes: Wish[] = [];

  const off = [asked.off, asked.intelOff, asked.amdOff].find((part) => part?.value === true);
  const direct = off ?? asked.mode;
  const bounces = asked.bounce?.value === true;
  if (bounces) {
    const { option } = asked.bounce!;
    wishes.push(modeWish('bounce', option, 'every buffer is copied through the pool'));
    if (direct === undefined || direct.value === 'translate')
      warnings.push({
        code: 'differs',
        option,
        member: '/policy/mode',
        detail: 'behind an IOMMU that translates Linux bounces for untrusted devices only; here it is the mode of all',
      });
  }
  if (asked.bounce?.value === false && policy.mode === 'bounce')
    warnings.push({
      code: 'member-wins',
      option: asked.bounce.option,
      member: '/policy/mode',
      detail: 'forbids bouncing, and the spec says bounce',
    });
  if (!bounces && off !== undefined)
    wishes.push(modeWish('passthrough', off.option, 'there is no IOMMU: devices reach all memory, as in passthrough'));
  else if (!bounces && asked.mode !== undefined) {
    const { value, option } = asked.mode;
    const detail = value === 'passthrough' ? 'devices use physical addresses' : 'devices are translated';
    wishes.push(modeWish(value, option, detail));
  }

  if (asked.lazy !== undefined) {
    const { value: lazy, option } = asked.lazy;
    const kind = lazy ? 'flush-queue' : 'strict';
    wishes.push({
      member: '/policy/invalidation/kind',
      option,
      detail: lazy ? 'unmap leaves the invalidation to the flush queue' : 'unmap invalidates and waits',
      fulfilled: (spec) => policies[spec.policy.invalidation.kind]?.lazy === lazy,
      merge: (spec) => {
        const there = policies[spec.policy.invalidation.kind];
        const fits = lazy ? there?.kind === kind : there?.lazy === false;
        return fits ? null : { policy: { invalidation: { kind } } };
      },
    });
  }

  if (asked.superpages !== undefined)
    wishes.push({
      member: '/iommu/superpages',
      option: asked.superpages.option,
      detail: 'no leaves but those of 4 KiB',
      fulfilled: ({ iommu }) => iommu.superpages.length === 0,
      merge: () => ({ iommu: { superpages: [] } }),
    });

  if (asked.forcedac !== undefined) {
    const { value, option } = asked.forcedac;
    wishes.push({
      member: '/policy/forcedac',
      option,
      detail: value ? 'addresses below 4 GiB are not tried first' : 'addresses below 4 GiB are tried first',
      fulfilled: ({ policy }) => policy.forcedac === value,
      merge: () => ({ policy: { forcedac: value } }),
    });
  }

  if (asked.fullFlush !== undefined) {
    const { value, option } = asked.fullFlush;
    if (allocator === 'gart')
      wishes.push({
        member: '/policy/allocator/fullFlush',
        option,
        detail: value ? 'the GART flushes at every allocation' : 'the GART flushes when its cursor wraps',
        fulfilled: ({ policy }) => policy.allocator.fullFlush === value,
        // With the kind, so that a spec that names it merges into this one.
        merge: () => ({ policy: { allocator: { kind: 'gart', fullFlush: value } } }),
      });
    else
      warnings.push({
        code: 'no-effect',
        option,
        member: '/policy/allocator/kind',
        detail: `matters to the allocator gart only, and this one is ${allocator}; what is meant may be iommu.strict=1`,
      });
  }

  if (asked.poolBytes !== undefined) {
    const { value, option } = asked.poolBytes;
    const member = '/policy/bounce/poolBytes';
    if (policy.mode !== 'bounce' && !modes[policy.mode]?.translates)
      warnings.push({ code: 'no-effect', option, member, detail: `in the mode ${policy.mode} there is no pool` });
    else if (value > POOL_BYTES)
      warnings.push({ code: 'not-modelled', option, member, detail: `a pool of more than ${POOL_BYTES} bytes` });
    else
      wishes.push({
        member,
        option,
        detail: `the pool has ${value} bytes, in whole segments of 256 KiB`,
        fulfilled: (spec) => spec.policy.bounce?.poolBytes === value,
        merge: () => ({ policy: { bounce: { poolBytes: value } } }),
      });
  }
  return { wishes, warnings };
}

function modeWish(mode: 'translate' | 'passthrough' | 'bounce', option: string, detail: string): Wish {
  const fulfilled = ({ policy }: ResolvedSpec) =>
    // Every mode but the direct ones has translation in it.
    mode === 'translate' ? !modes[policy.mode]!.direct : policy.mode === mode;
  return {
    member: '/policy/mode',
    option,
    detail,
    fulfilled,
    merge: (spec) => (fulfilled(spec) ? null : { policy: { mode } }),
  };
}
