/** The generated parts of `docs/recorded-lines.md`: the recordings, and what their replays answer now. */
import type { Operation } from '../../src/core/operations.ts';
import { playDirectly } from '../../test/scenarios/drivers.ts';
import { type ReplayedOperation, replayOf } from '../../test/scenarios/recorded.ts';
import { type Played, type ReplyLine, readScenario } from '../../test/scenarios/scenarios.ts';
import { figure, table } from '../docs/table.ts';

export const recordedParts: Record<string, () => string> = {
  'recorded ath12k lines': () => recording('ath12k-strict'),
  'recorded ath12k strict': () => replayTable('ath12k-strict'),
  'recorded ath12k fault': () => fault('ath12k-strict', 0),
  'recorded ath12k deferred': () => sideBySide('ath12k-touched-strict', 'ath12k-deferred'),
  'recorded ath12k window': () => window('ath12k-deferred'),
  'recorded vfio lines': () => recording('vfio-guest'),
  'recorded vfio replay': () => replayTable('vfio-guest'),
  'recorded assumptions': assumptions,
};

function recording(name: string): string {
  return fenced(replayOf(name).recording.join('\n'));
}

function played(name: string): Played {
  return playDirectly(readScenario(name));
}

function replayTable(name: string): string {
  const { replies } = played(name);
  const rows = replayOf(name).operations.map((each, i) => [origin(each), told(each.operation), answered(replies[i]!)]);
  return table(['from', 'operation', 'answer'], rows);
}

/** Two replays of which the first is the beginning of the second. */
function sideBySide(shorter: string, longer: string): string {
  const short = played(shorter).replies;
  const long = played(longer).replies;
  const rows = replayOf(longer).operations.map((each, i) => {
    const beside = short[i] === undefined ? '' : answered(short[i]);
    return [origin(each), told(each.operation), beside, answered(long[i]!)];
  });
  return table(['from', 'operation', 'strict', 'deferred-2008'], rows);
}

function fault(name: string, index: number): string {
  const { message, forensics } = played(name).faults.items[index] as {
    message: string;
    forensics: { lastUnmap: { sinceNs: number }; verdict: string };
  };
  const { verdict, lastUnmap } = forensics;
  return fenced(`${message}\n${verdict}: unmapped ${duration(lastUnmap.sinceNs)} before`);
}

function window(name: string): string {
  const { longestWindowNs, windows } = played(name).metrics.exposure.actual as {
    longestWindowNs: number;
    windows: number;
  };
  const many = windows === 1 ? 'One page was' : `${figure(windows)} pages were`;
  return `${many} reachable after the unmap, for ${figure(longestWindowNs)} ns: the timer's 10 ms and the flush itself.`;
}

function assumptions(): string {
  const said = ['ath12k-strict', 'ath12k-deferred', 'vfio-guest'].flatMap(
    (name) => replayOf(name).conversion.assumptions,
  );
  return [...new Set(said)].map((line) => `- ${line}`).join('\n');
}

function origin({ line }: ReplayedOperation): string {
  return line === null ? 'synthesised' : `line ${line}`;
}

/** An operation in a few words. */
function told(operation: Operation): string {
  switch (operation.op) {
    case 'advance':
      return `advance ${duration(operation.ns)}`;
    case 'iommu-map':
      return `iommu-map ${operation.iova} to ${operation.physicalAddress}, ${figure(operation.lengthBytes)} bytes`;
    case 'iommu-unmap':
      return `iommu-unmap ${operation.iova}, ${figure(operation.lengthBytes)} bytes`;
    case 'unmap':
      return `unmap ${operation.iova}, ${figure(operation.lengthBytes!)} bytes`;
    case 'map':
      return `map \`${operation.buffer}\``;
    case 'buffer': {
      const owner = operation.tenant === undefined ? '' : ` of \`${operation.tenant}\``;
      return `buffer \`${operation.name}\`${owner}, ${figure(operation.lengthBytes)} bytes`;
    }
    case 'free':
      return `free \`${operation.buffer}\``;
    case 'tenant':
      return `tenant \`${operation.name}\``;
    case 'dma': {
      const many = operation.lengthBytes === 1 ? '1 byte' : `${figure(operation.lengthBytes)} bytes`;
      return `the device ${operation.access}s ${many} at ${operation.iova}`;
    }
    default:
      throw new Error(`no replay has the operation ${operation.op}`);
  }
}

interface Piece {
  verdict: string;
  reason?: number;
  physicalAddress?: string;
  from?: string;
}

/** What of an answer the story needs. */
function answered({ op, result, problem }: ReplyLine): string {
  if (result === undefined) return `refused: \`${problem!.code}\``;
  switch (op) {
    case 'iommu-map':
      return Object.entries(result.pageSizes as Record<string, number>)
        .map(([size, count]) => `${figure(count)} x ${size}`)
        .join(', ');
    case 'iommu-unmap':
      return `${figure(result.unmappedBytes as number)} bytes were mapped`;
    case 'map':
      return `at ${result.iova}`;
    case 'buffer':
      return `at ${result.physicalAddress}`;
    case 'unmap':
      return result.exposed === true ? 'still cached' : 'nothing cached';
    case 'dma':
      return `**${result.verdict}**: ${[...new Set((result.pages as Piece[]).map(piece))].join('; ')}`;
    default:
      return '';
  }
}

function piece({ reason, physicalAddress, from }: Piece): string {
  return reason === undefined ? `${physicalAddress} by ${from}` : `reason ${reason}`;
}

/** Exact: 6176000 -> `6.176 ms`. */
function duration(ns: number): string {
  for (const [unit, size] of [
    ['s', 1e9],
    ['ms', 1e6],
    ['us', 1e3],
  ] as const)
    if (ns >= size) return `${ns / size} ${unit}`;
  return `${ns} ns`;
}

function fenced(text: string): string {
  return `\`\`\`text\n${text}\n\`\`\``;
}
