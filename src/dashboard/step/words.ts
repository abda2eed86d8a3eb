/** What was done and what came of it, in words. Pure. */
import type { Verdict } from '../../api/contract-types.ts';
import { bytes, count, duration, figure } from '../format.ts';
import type { Operation } from './operations.ts';

export const VERDICTS: Readonly<Record<Verdict, string>> = {
  ok: 'allowed: a live mapping covers it',
  fault: 'blocked: the IOMMU faulted it',
  subpage: 'got through beside the mapped bytes: a page is the least that an IOMMU protects',
  unprotected: 'got through: nothing protects this memory from the device',
  stale: 'got through after the unmap, by a translation that outlived its mapping',
  'stale-reused': 'got through after the unmap, into memory that has since been given to another buffer',
  misdirected: 'got through to the wrong page: another mapping stands at this address now',
  'stale-cross-tenant': 'got through after the unmap, into memory that now belongs to another tenant',
};

const CAUSES: Readonly<Record<string, string>> = {
  iotlb: 'a cached entry of the IOTLB',
  'walk-cache': 'a cached path to a table that was freed',
  'device-tlb': 'a cached entry of the device itself',
  pte: 'a page-table entry that was not cleared',
  'freed-while-mapped': 'a mapping whose buffer was freed under it',
  'no-protection': 'want of any protection',
};

const text = (value: unknown): string => (value === undefined || value === '' ? '?' : String(value));

export function sentenceOf(operation: Operation): string {
  const { op } = operation;
  switch (op) {
    case 'tenant':
      return `make tenant ${text(operation.name)}, a ${text(operation.kind)}`;
    case 'device':
      return `add device ${text(operation.name)}`;
    case 'buffer':
      return `get ${bytes(Number(operation.lengthBytes))} of memory${operation.tenant ? ` for ${text(operation.tenant)}` : ''}`;
    case 'free':
      return `free ${text(operation.buffer)}`;
    case 'map':
      return `map ${text(operation.buffer ?? operation.physicalAddress)} for ${text(operation.device)}, ${text(operation.direction)}`;
    case 'unmap':
      return `unmap ${text(operation.mapping)}`;
    case 'dma':
      return `let ${text(operation.device)} ${operation.access === 'read' ? 'read' : 'write'} ${bytes(Number(operation.lengthBytes))} at ${text(operation.iova)}`;
    case 'invalidate':
      return operation.scope === 'range'
        ? `invalidate ${bytes(Number(operation.lengthBytes))} from ${text(operation.iova)}${operation.leafOnly === true ? ', leaves only' : ''}`
        : `invalidate ${operation.scope === 'global' ? 'everything' : `all of ${text(operation.domain)}`}`;
    case 'advance':
      return `let ${duration(Number(operation.ns))} pass`;
  }
}

type Reply = Readonly<Record<string, unknown>>;

/** What came of it, in a sentence or two. */
export function outcomeOf(operation: Operation, reply: Reply): string {
  switch (operation.op) {
    case 'buffer':
      return `${text(reply.id)} at ${text(reply.physicalAddress)}.`;
    case 'map':
      return `${text(reply.id)} at ${text(reply.iova)}, ${cycles(reply)}.`;
    case 'unmap':
      return `${cycles(reply)}. ${
        reply.exposed === true
          ? 'Something cached still translates it: the device can reach the page.'
          : 'Nothing that is cached translates it any more.'
      }`;
    case 'dma': {
      const verdict = reply.verdict as Verdict;
      const cause = (reply.pages as { cause?: string }[] | undefined)?.find(({ cause }) => cause !== undefined)?.cause;
      return `${verdict}: ${VERDICTS[verdict] ?? verdict}${cause === undefined ? '' : `; by ${CAUSES[cause] ?? cause}`}.`;
    }
    case 'invalidate': {
      const { scope, iova, lengthBytes } = (reply.effectiveRange ?? {}) as {
        scope?: string;
        iova?: string;
        lengthBytes?: number;
      };
      const what = scope === 'range' ? `${bytes(lengthBytes)} from ${iova}` : scope;
      return `${count(Number(reply.descriptors))} ${reply.descriptors === 1 ? 'command' : 'commands'}; in effect: ${what}. ${cycles(reply)}.`;
    }
    case 'advance':
      return `It is ${duration(Number(reply.timeNs))} now; ${reply.fired === 0 ? 'no timer fired' : `${count(Number(reply.fired))} timers fired`}.`;
    default:
      return reply.id === undefined ? 'Done.' : `${text(reply.id)}.`;
  }
}

function cycles(reply: Reply): string {
  return reply.costCycles === undefined ? 'done' : `${figure(Number(reply.costCycles))} cycles`;
}

/** How grave: for the mark beside it. */
export function markOf(verdict: Verdict): 'ok' | 'cancelled' | 'bad' | 'warn' {
  if (verdict === 'ok' || verdict === 'fault') return 'ok';
  if (verdict === 'subpage' || verdict === 'unprotected') return 'warn';
  return 'bad';
}

/** Rows of a breakdown that took anything, the longest first. */
export function breakdownOf(reply: Reply): { name: string; cycles: number }[] {
  const rows = Object.entries((reply.breakdown ?? {}) as Record<string, number>);
  return rows
    .filter(([, value]) => value > 0)
    .map(([name, value]) => ({ name, cycles: value }))
    .sort((a, b) => b.cycles - a.cycles);
}
