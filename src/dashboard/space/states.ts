/**
 * The states of a page as the picture has them: colour, pattern, words. The order is that of the legend, from what matters most. Colours
 * are in `space.css`, `--page-live`; each has a pattern too, so that nothing is told by colour alone.
 */
import type { SpaceState } from '../../api/contract-types.ts';

export type Pattern = 'plain' | 'diagonal' | 'cross' | 'dots' | 'vertical' | 'horizontal' | 'outline';

export interface StateEntry {
  state: SpaceState;
  name: string;
  pattern: Pattern;
  about: string;
  /** Seen in a cell of a million pages too. */
  loud?: boolean;
}

export const STATES: readonly StateEntry[] = [
  {
    state: 'remapped',
    name: 'mapped anew, old entry cached',
    pattern: 'cross',
    about: 'live again while a translation of the mapping before is still cached: a device may reach the wrong page',
    loud: true,
  },
  {
    state: 'stale',
    name: 'stale but cached',
    pattern: 'diagonal',
    about: 'unmapped, and an IOTLB entry, a device TLB or an uncleared page-table entry still translates it',
    loud: true,
  },
  {
    state: 'dangling',
    name: 'buffer freed under it',
    pattern: 'dots',
    about: 'its memory was freed while it was mapped; the page-table entry stands',
    loud: true,
  },
  {
    state: 'queued',
    name: 'queued',
    pattern: 'vertical',
    about: 'unmapped and waiting for a flush; its address cannot be handed out',
  },
  {
    state: 'unflushed',
    name: 'free, not flushed',
    pattern: 'outline',
    about: 'unmapped since the last flush, nothing cached; its address may be handed out before the next one',
  },
  { state: 'live', name: 'live', pattern: 'plain', about: 'mapped' },
  {
    state: 'allocated',
    name: 'handed out, not mapped',
    pattern: 'horizontal',
    about: 'the rest of a rounded size, a pool, a chunk',
  },
  {
    state: 'kept',
    name: 'kept by the allocator',
    pattern: 'dots',
    about: 'freed into a magazine or a list, for the next map',
  },
  {
    state: 'reserved',
    name: 'reserved',
    pattern: 'cross',
    about: 'never handed out, as the interrupt window, or mapped by hand',
  },
  { state: 'free', name: 'free', pattern: 'plain', about: 'may be handed out' },
];

export const stateEntry = (state: SpaceState): StateEntry =>
  STATES.find((entry) => entry.state === state) ?? (STATES.at(-1) as StateEntry);
