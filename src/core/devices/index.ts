/** The workloads: a new one is a file in this folder and a line here. */
import { block } from './block.ts';
import { dmaWindow } from './dma-window.ts';
import { hostile } from './hostile.ts';
import { mapBenchmark } from './map-benchmark.ts';
import { nicRx } from './nic-rx.ts';
import { nicTx } from './nic-tx.ts';
import { replay } from './replay/index.ts';
import type { WorkloadEntry } from './workload.ts';

export const workloads: Record<string, WorkloadEntry> = Object.fromEntries(
  [nicRx, nicTx, block, dmaWindow, mapBenchmark, hostile, replay].map((entry) => [entry.kind, entry]),
);
