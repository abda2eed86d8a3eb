/** The questions, in the order of their index page. A new one is a file in this folder, a line here and a page in `docs/questions/`. */
import type { RequestPreset } from '../presets.ts';
import { afterTheUpgrade } from './after-the-upgrade.ts';
import { buffersKeptMapped } from './buffers-kept-mapped.ts';
import { deafHost } from './deaf-host.ts';
import { dmaEntries } from './dma-entries.ts';
import { guestIommu } from './guest-iommu.ts';
import { iommuPt } from './iommu-pt.ts';
import { iopsCliff } from './iops-cliff.ts';
import { iotlbReach } from './iotlb-reach.ts';
import { lazyDefault } from './lazy-default.ts';
import { longBuffers } from './long-buffers.ts';
import { maliciousVm } from './malicious-vm.ts';
import { neighbours } from './neighbours.ts';
import { oneFlushQueue } from './one-flush-queue.ts';
import type { Question } from './question.ts';
import { queueLock } from './queue-lock.ts';
import { strictAt100g } from './strict-at-100g.ts';
import { swiotlbSize } from './swiotlb-size.ts';
import { untrustedDevice } from './untrusted-device.ts';

export const questions: Question[] = [
  lazyDefault,
  maliciousVm,
  afterTheUpgrade,
  iommuPt,
  strictAt100g,
  queueLock,
  oneFlushQueue,
  iopsCliff,
  longBuffers,
  buffersKeptMapped,
  neighbours,
  untrustedDevice,
  swiotlbSize,
  dmaEntries,
  guestIommu,
  deafHost,
  iotlbReach,
];

export const questionPresets: RequestPreset[] = questions.map(({ kind, title, source, request }) => ({
  kind,
  title,
  source,
  request,
}));
