/** A verdict as subscribers see it: an access of a workload that was not `ok`. */
import type { Workload } from './devices/workload.ts';
import { formatAddress } from './sim/address.ts';
import type { Simulator } from './simulator.ts';
import { verdictNames } from './truth/oracle.ts';

/** Tells them, while there is room. */
export function verdictNotice(
  simulator: Simulator,
  workload: Workload,
  page: number,
  offset: number,
  lengthBytes: number,
  write: boolean,
  verdict: number,
  now: number,
): void {
  const { log, clock } = simulator;
  if (log.full) return;
  const timeNs = clock.toNs(now);
  log.notice({
    topic: 'verdicts',
    timeNs,
    data: {
      workload: workload.id,
      device: workload.target.id,
      iova: formatAddress(page, offset),
      lengthBytes,
      access: write ? 'write' : 'read',
      verdict: verdictNames[verdict],
    },
  });
}
