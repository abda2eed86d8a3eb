/** The reproductions by id. A new one is a file in this folder and a line here. */
import { deferredWindows } from './deferred-windows.ts';
import { eiovar15 } from './eiovar15.ts';
import { intelIommu2008 } from './intel-iommu-2008.ts';
import { pciebench18 } from './pciebench18.ts';
import { rcacheReach } from './rcache-reach.ts';
import type { Reproduction } from './reproduction.ts';
import { riommu15 } from './riommu15.ts';
import { skl26Nvme } from './skl26-nvme.ts';
import { wiosca10 } from './wiosca10.ts';

export const reproductions: Record<string, Reproduction> = Object.fromEntries(
  [intelIommu2008, wiosca10, eiovar15, riommu15, pciebench18, rcacheReach, skl26Nvme, deferredWindows].map((each) => [
    each.id,
    each,
  ]),
);
