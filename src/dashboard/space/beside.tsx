/** Beside the picture: the legend with its counts, what one page is, and the extents as a strip. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import type { SpaceCells, SpaceExtents, SpacePage, SpaceState } from '../../api/contract-types.ts';
import { api, sessionPath } from '../api.ts';
import { bytes, count, duration } from '../format.ts';
import { palette } from '../palette.ts';
import { hexOf, pageOf } from './address.ts';
import { fillOf } from './drawing.ts';
import { addressesOf, partsInWords, partsOf, type SpaceFrame } from './frame.ts';
import { stateColours } from './map.tsx';
import { STATES, type StateEntry, stateEntry } from './states.ts';

export function Legend({ reply }: { reply: SpaceCells | null }) {
  const pages = (reply?.pages ?? {}) as Partial<Record<SpaceState, number>>;
  return (
    <dl class="space-legend">
      {STATES.map((entry) => {
        const here = pages[entry.state] ?? 0;
        const none = here === 0 ? 'none' : undefined;
        return (
          <>
            <dt key={`${entry.state} pattern`}>
              <Sample entry={entry} />
            </dt>
            <dt key={entry.state} class={none} title={entry.about}>
              {entry.name}
            </dt>
            <dd class={none}>{count(here)}</dd>
          </>
        );
      })}
    </dl>
  );
}

function Sample({ entry }: { entry: StateEntry }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = palette.value;
  useEffect(() => {
    const element = canvas.current as HTMLCanvasElement;
    const ratio = Math.min(devicePixelRatio || 1, 3);
    element.width = 18 * ratio;
    element.height = 14 * ratio;
    const context = element.getContext('2d') as CanvasRenderingContext2D;
    const { states, paper } = stateColours();
    context.fillStyle = fillOf(context, entry.pattern, states.get(entry.state) ?? '', paper, ratio);
    context.fillRect(0, 0, element.width, element.height);
  }, [entry, theme]);
  return <canvas ref={canvas} />;
}

/** What the cell under the cursor holds; of a cell of one page all that the server knows of it. */
export function Readout({ session, frame, cell }: { session: string; frame: SpaceFrame | null; cell: number }) {
  const page = useSignal<SpacePage | null>(null);
  const isHere = frame !== null && cell >= 0 && cell < frame.cellCount;
  const at = isHere ? frame.first + cell * frame.pagesPerCell : -1;
  const isOne = isHere && frame.pagesPerCell === 1;
  const domain = frame?.reply.domain;
  const timeNs = frame?.timeNs;
  useEffect(() => {
    page.value = null;
    if (!isOne) return;
    const stopping = new AbortController();
    const wait = setTimeout(() => {
      api
        .get<SpacePage>(sessionPath(session, 'space', 'page'), { domain, iova: hexOf(at) }, stopping.signal)
        .then((reply) => {
          page.value = reply;
        })
        .catch(() => {
          // The picture says what is wrong with the session; a page more or less does not.
        });
    }, 120);
    return () => {
      clearTimeout(wait);
      stopping.abort();
    };
  }, [session, domain, at, isOne, timeNs]);
  if (!isHere) return <p class="faint small">Point at a cell, tap it, or go there with the arrow keys.</p>;
  const found = page.value;
  return (
    <dl class="space-readout">
      <dt>address</dt>
      <dd>
        <code>{addressesOf(frame, cell)}</code>
      </dd>
      <dt>holds</dt>
      <dd>{partsInWords(partsOf(frame, cell))}</dd>
      {found !== null && pageOf(found.iova) === at && <PageRows page={found} />}
      {!isOne && (
        <>
          <dt>size</dt>
          <dd>
            {bytes(frame.reply.cellBytes)}, {count(frame.pagesPerCell)} pages; zoom in for who mapped them
          </dd>
        </>
      )}
    </dl>
  );
}

function PageRows({ page }: { page: SpacePage }) {
  const { mapping, lastMapNs, lastUnmapNs, timeNs } = page;
  const ago = (ns: number) => `${duration(Math.max(0, timeNs - ns))} ago`;
  return (
    <>
      <dt>now</dt>
      <dd title={stateEntry(page.state).about}>{stateEntry(page.state).name}</dd>
      {mapping !== undefined && (
        <>
          <dt>mapping</dt>
          <dd>
            <code>{mapping.id}</code> of <code>{mapping.device}</code>, {mapping.kind}, {mapping.direction},{' '}
            {bytes(mapping.lengthBytes)}
          </dd>
        </>
      )}
      {page.iommuRange !== undefined && (
        <>
          <dt>range</dt>
          <dd>
            <code>{page.iommuRange.iova}</code>, {bytes(page.iommuRange.lengthBytes)}, mapped by hand
          </dd>
        </>
      )}
      {lastMapNs !== undefined && (
        <>
          <dt>mapped</dt>
          <dd>
            {ago(lastMapNs)}, at {duration(lastMapNs)}
          </dd>
        </>
      )}
      {lastUnmapNs !== undefined && (
        <>
          <dt>unmapped</dt>
          <dd>
            {ago(lastUnmapNs)}, at {duration(lastUnmapNs)}
          </dd>
        </>
      )}
      {page.openWindows > 0 && page.exposedSinceNs !== undefined && (
        <>
          <dt>exposed</dt>
          <dd>
            since {duration(page.exposedSinceNs)}, {count(page.openWindows)} open{' '}
            {page.openWindows === 1 ? 'window' : 'windows'}
          </dd>
        </>
      )}
      <dt>reaches</dt>
      <dd>
        {page.present ? (
          <>
            <code>{page.physicalAddress}</code> by the page table ({page.pageSize})
          </>
        ) : (
          'nothing by the page table'
        )}
        {page.cachedIn
          .filter(({ cache }) => cache !== 'walk-cache')
          .map(({ cache, device, set, way, physicalAddress, stale }) => (
            <span key={`${cache} ${device ?? ''}`}>
              ; <code>{physicalAddress}</code> by{' '}
              {cache === 'iotlb' ? `IOTLB set ${set} way ${way}` : `the TLB of ${device}`}
              {stale ? ', stale' : ''}
            </span>
          ))}
      </dd>
    </>
  );
}

/** Where the space has anything; the widths are those of the logarithm of the sizes. */
export function Strip({
  space,
  first,
  last,
  onChoose,
}: {
  space: SpaceExtents;
  first: number;
  last: number;
  onChoose(first: number, last: number): void;
}) {
  let before: number | null = null;
  return (
    <nav class="scroll space-strip" aria-label="Extents in use">
      {space.extents.map(({ from, to, usedBytes, reservedBytes }) => {
        const [begin, end] = [pageOf(from) ?? 0, pageOf(to) ?? 0];
        const gap: number = before === null ? begin : begin - before - 1;
        before = end;
        const isShown = begin <= last && end >= first;
        const use =
          usedBytes > 0
            ? `${bytes(usedBytes)} used`
            : reservedBytes > 0
              ? `${bytes(reservedBytes)} reserved`
              : 'once mapped';
        return (
          <>
            {gap > 0 && (
              <span class="gap" key={`${from} gap`}>
                {bytes(gap * 4096)} free
              </span>
            )}
            <button
              key={from}
              type="button"
              aria-current={isShown ? 'true' : undefined}
              style={{ flex: `${Math.max(1, Math.log2(end - begin + 2))} 1 auto` }}
              onClick={() => onChoose(begin, end)}
            >
              <b>{from}</b>
              <span class="hidden-text"> to {to}, </span>
              <span>{use}</span>
            </button>
          </>
        );
      })}
    </nav>
  );
}
