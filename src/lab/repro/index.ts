/** The reproductions by id. A new one is a file in this folder and a line here. */
import { copies } from './copies.ts';
import { deferredWindows } from './deferred-windows.ts';
import { eiovar15 } from './eiovar15.ts';
import { fands24 } from './fands24.ts';
import { farshin23 } from './farshin23.ts';
import { intelIommu2008 } from './intel-iommu-2008.ts';
import { invalidationQueue } from './invalidation-queue.ts';
import { iovaAgeing } from './iova-ageing.ts';
import { pciebench18 } from './pciebench18.ts';
import { rcacheReach } from './rcache-reach.ts';
import type { Reproduction } from './reproduction.ts';
import { riommu15 } from './riommu15.ts';
import { skl26Nvme } from './skl26-nvme.ts';
import { uiuc25 } from './uiuc25.ts';
import { viommu11 } from './viommu11.ts';
import { wiosca10 } from './wiosca10.ts';

export const reproductions: Record<string, Reproduction> = Object.fromEntries(
  [
    intelIommu2008,
    wiosca10,
    viommu11,
    eiovar15,
    riommu15,
    pciebench18,
    farshin23,
    fands24,
    rcacheReach,
    iovaAgeing,
    skl26Nvme,
    invalidationQueue,
    uiuc25,
    copies,
    deferredWindows,
  ].map((each) => [each.id, each]),
);
