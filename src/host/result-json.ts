/**
 * JSON text of an operation's result, the same as `JSON.stringify` gives. `ops` writes hundreds of thousands a second: those of
 * `map`, `unmap` and `dma` are put together here from what is known of them, which takes a third of the time (240 against 700 ns
 * for a `map`, Node 24); all others, and those with a member that is rare, go the general way.
 *
 * Ids, addresses and words of the core need no escapes. Breakdowns and lists of assumptions are shared by many results and frozen
 * (`src/core/apply/cost.ts`), so their text is kept and found again by identity.
 */
import { hash } from 'node:crypto';
import { problemDocument } from '../api/problem.ts';
import type { Outcome } from '../core/operations.ts';
import type { HostProblem } from './host.ts';
import { fromOperation } from './problems.ts';

type Result = Record<string, unknown>;

interface Segment {
  iova: string;
  lengthBytes: number;
}

interface Piece {
  iova: string;
  physicalAddress?: string;
  from?: string;
  memoryReferences: number;
  verdict: string;
  cause?: string;
  reason?: number;
}

/** Texts remembered; prime, as costs are multiples of round numbers. */
const SLOTS = 61;

/** Members that each of these results has, `assumptions` apart: one with more says something that is rare, or new. */
const MAP_MEMBERS = 6;
const UNMAP_MEMBERS = 4;
const DMA_MEMBERS = 4;

/** One for each stream of results: what it remembers is that of one session. */
export class ResultJson {
  private readonly breakdowns: unknown[] = new Array<unknown>(SLOTS).fill(null);
  private readonly breakdownTexts: string[] = new Array<string>(SLOTS).fill('');
  private lastAssumptions: unknown = null;
  private lastAssumptionsText = '';

  /** @param op name of the operation that had this result, as JSON */
  of(op: string, result: Result): string {
    const members = Object.keys(result).length - (result.assumptions === undefined ? 0 : 1);
    if (op === '"map"' && members === MAP_MEMBERS) return this.ofMap(result);
    if (op === '"unmap"' && members === UNMAP_MEMBERS) return this.ofUnmap(result);
    if (op === '"dma"' && members === DMA_MEMBERS && result.assumptions === undefined) return ofAccess(result);
    return JSON.stringify(result);
  }

  private ofMap(result: Result): string {
    let segments = '';
    for (const { iova, lengthBytes } of result.segments as Segment[])
      segments += `${segments === '' ? '' : ','}{"iova":"${iova}","lengthBytes":${lengthBytes}}`;
    return `{"id":"${result.id}","iova":"${result.iova}","segments":[${segments}],${this.cost(result)},"timeNs":${result.timeNs}${this.assumptions(result)}}`;
  }

  private ofUnmap(result: Result): string {
    return `{${this.cost(result)},"exposed":${result.exposed},"timeNs":${result.timeNs}${this.assumptions(result)}}`;
  }

  private cost({ costCycles, breakdown }: Result): string {
    // Thousandths of a cycle are whole numbers.
    const slot = Math.round((costCycles as number) * 1000) % SLOTS;
    if (this.breakdowns[slot] !== breakdown) {
      this.breakdowns[slot] = breakdown;
      this.breakdownTexts[slot] = `"costCycles":${costCycles},"breakdown":${JSON.stringify(breakdown)}`;
    }
    return this.breakdownTexts[slot]!;
  }

  private assumptions({ assumptions }: Result): string {
    if (assumptions === undefined) return '';
    if (this.lastAssumptions !== assumptions) {
      this.lastAssumptions = assumptions;
      this.lastAssumptionsText = `,"assumptions":${JSON.stringify(assumptions)}`;
    }
    return this.lastAssumptionsText;
  }
}

function ofAccess(result: Result): string {
  let pages = '';
  for (const piece of result.pages as Piece[]) pages += pages === '' ? ofPiece(piece) : `,${ofPiece(piece)}`;
  return `{"verdict":"${result.verdict}","pages":[${pages}],"latencyNs":${result.latencyNs},"timeNs":${result.timeNs}}`;
}

function ofPiece({ iova, physicalAddress, from, memoryReferences, verdict, cause, reason }: Piece): string {
  const reached = physicalAddress === undefined ? '' : `"physicalAddress":"${physicalAddress}","from":"${from}",`;
  const why = `${reason === undefined ? '' : `,"reason":${reason}`}${cause === undefined ? '' : `,"cause":"${cause}"`}`;
  return `{"iova":"${iova}",${reached}"memoryReferences":${memoryReferences},"verdict":"${verdict}"${why}}`;
}

/** The reply line to a line that was carried out, without its end. @param op name as JSON */
export function okLine(line: number, op: string, json: string): string {
  return `{"line":${line},"op":${op},"ok":true,"result":${json}}`;
}

/** The reply line to a line that was not. @param op name as JSON */
export function problemLine(line: number, op: string, problem: HostProblem): string {
  return `{"line":${line},"op":${op},"ok":false,"problem":${JSON.stringify(problemDocument(problem))}}`;
}

export function replyLine(line: number, op: string, outcome: Outcome, resultJson: ResultJson): string {
  return outcome.status === 'ok'
    ? okLine(line, op, resultJson.of(op, outcome.result))
    : problemLine(line, op, fromOperation(outcome.problem));
}

/** Stands for the text of a line of an `ops` request, without its end. */
export function printOfLine(line: string): string {
  return hash('sha256', line.endsWith('\r') ? line.slice(0, -1) : line, 'base64');
}
