/** `dma`: one access of a device, at one instant; it does not move the clock. */

import { fromNames, type Piece, type PieceVisitor } from '../hardware/translate.ts';
import type { Outcome } from '../operations.ts';
import { ok, refuse } from '../outcome.ts';
import { formatAddress, parseAddress, parsed } from '../sim/address.ts';
import type { Simulator } from '../simulator.ts';
import { causeNames, VERDICT, verdictNames } from '../truth/oracle.ts';
import type { Of } from './index.ts';

/** Collects pieces as replies have them. */
class Pieces implements PieceVisitor {
  pages: Record<string, unknown>[] = [];

  piece(page: number, offset: number, iommu: Piece): void {
    const piece: Record<string, unknown> = { iova: formatAddress(page, offset) };
    if (iommu.verdict !== VERDICT.fault) {
      piece.physicalAddress = formatAddress(iommu.frame, offset);
      piece.from = fromNames[iommu.from];
    }
    piece.memoryReferences = iommu.pieceReferences;
    piece.verdict = verdictNames[iommu.verdict];
    if (iommu.verdict === VERDICT.fault) piece.reason = iommu.reason;
    else if (iommu.cause !== 0) piece.cause = causeNames[iommu.cause];
    this.pages.push(piece);
  }
}

export function access(simulator: Simulator, operation: Of<'dma'>): Outcome {
  const device = simulator.devices.find(operation.device);
  if (!device) return refuse('unknown-device', `no device "${operation.device}"`, '/device');
  if (!parseAddress(operation.iova)) return refuse('invalid-address', 'is no address', '/iova');
  const { page, offset } = parsed;
  const last = page + Math.floor((offset + operation.lengthBytes - 1) / 4096);
  if (last >= 2 ** 52)
    return refuse('invalid-address', 'the access runs over the end of the 64-bit address space', '/lengthBytes');
  const { iommu, clock, costs, work, log } = simulator;
  const pieces = new Pieces();
  const worst = iommu.access(
    device,
    page,
    offset,
    operation.lengthBytes,
    operation.access === 'write',
    clock.now,
    pieces,
  );
  const latencyPs = work.toPs(iommu.references * costs.tableRead + iommu.requests * costs.translationRequest);
  const verdict = verdictNames[worst]!;
  if (worst !== VERDICT.ok && !log.full)
    log.notice({
      topic: 'verdicts',
      timeNs: simulator.timeNs,
      data: {
        device: device.id,
        iova: formatAddress(page, offset),
        lengthBytes: operation.lengthBytes,
        access: operation.access,
        verdict,
      },
    });
  return ok({
    verdict,
    pages: pieces.pages,
    latencyNs: latencyPs / 1000,
    timeNs: simulator.timeNs,
    ...simulator.costReplies.among(
      ...(iommu.references > 0 ? ['tableRead'] : []),
      ...(iommu.requests > 0 ? ['translationRequest'] : []),
    ),
  });
}
