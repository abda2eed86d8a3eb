/** The IOVA space of a session as a picture that moves. */
import './space.css';
import { useComputed, useSignal, useSignalEffect } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { DomainPage, SpaceCells, WorkloadPage } from '../../api/contract-types.ts';
import { api, problemOf, sessionPath } from '../api.ts';
import { bytes, count, duration, figure } from '../format.ts';
import { setQuery } from '../location.ts';
import type { PageProps } from '../pages.ts';
import { Card, Empty, Figures, ProblemNote } from '../parts/bits.tsx';
import { Chart } from '../parts/chart.tsx';
import { Feed } from '../parts/feed.ts';
import { SessionTabs } from '../parts/session-tabs.tsx';
import { useShortcut } from '../shortcuts.ts';
import { tell } from '../tell.ts';
import { useLoad } from '../use-load.ts';
import { hexOf, pageOf } from './address.ts';
import { Legend, Readout, Strip } from './beside.tsx';
import { frameOf, type SpaceFrame, summaryOf } from './frame.ts';
import { SpaceMap } from './map.tsx';
import { Player } from './player.ts';
import { fitted, type Grid, lastOf, moved, settled, stretch, type View, widest, zoomed } from './view.ts';

const EXTENTS = 24;
const RATES = [2, 5, 10];
const RUN_NS = 20_000_000;
/** Of a chart. */
const POINTS = 600;
const IN_VIEW = ['live', 'queued', 'stale', 'remapped', 'unflushed', 'kept'] as const;

export default function SpacePage({ parameters, place }: PageProps) {
  const session = parameters.session as string;
  const domains = useLoad(() => api.get<DomainPage>(sessionPath(session, 'domains'), { limit: 100 }), session);
  const workloads = useLoad(() => api.get<WorkloadPage>(sessionPath(session, 'workloads')), session);
  const items = domains.data.value?.items ?? [];
  const asked = place.query.domain;
  const domain = items.find(({ id, name }) => id === asked || name === asked) ?? items[0];
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{session}</h1>
        {items.length > 1 && (
          <div class="end">
            <label for="space-domain">Domain</label>
            <select
              id="space-domain"
              value={domain?.id}
              onChange={(event) => setQuery({ domain: event.currentTarget.value, at: undefined, shift: undefined })}
            >
              {items.map(({ id, name, devices }) => (
                <option key={id} value={id}>
                  {name ?? id}
                  {devices?.length ? ` (${devices.join(', ')})` : ''}
                </option>
              ))}
            </select>
          </div>
        )}
      </div>
      <SessionTabs session={session} />
      <ProblemNote problem={domains.problem.value} />
      {domains.data.value !== null && domain === undefined && (
        <Empty>This session has no domain yet. A device brings one with it; so does “Step”.</Empty>
      )}
      {domain !== undefined && (
        <Space
          key={domain.id}
          session={session}
          domain={domain.id}
          lastPage={2 ** (Number(domain.addressBits) - 12) - 1}
          query={place.query}
          hasWorkloads={(workloads.data.value?.items.length ?? 0) > 0}
        />
      )}
    </>
  );
}

/** 64 columns where there is room for them. */
function gridFor(width: number): { grid: Grid; rowPx: number; gutter: number } {
  return width < 640
    ? { grid: { columns: 32, rows: 48 }, rowPx: 9, gutter: 92 }
    : { grid: { columns: 64, rows: 44 }, rowPx: 13, gutter: 118 };
}

interface SpaceProps {
  session: string;
  domain: string;
  lastPage: number;
  query: Readonly<Record<string, string>>;
  hasWorkloads: boolean;
}

function Space({ session, domain, lastPage, query, hasWorkloads }: SpaceProps) {
  const { grid, rowPx, gutter } = useMemo(() => gridFor(window.innerWidth), []);
  const view = useSignal<View | null>(viewIn(query, grid, lastPage));
  const isOutlined = useSignal(query.outline === 'on');
  const cursor = useSignal(-1);
  const byState = useMemo(() => new Feed(IN_VIEW.length, POINTS), []);
  const pieces = useMemo(() => new Feed(2, POINTS), []);

  const player = useMemo(
    () =>
      new Player(() => {
        const now = view.peek();
        const path = sessionPath(session, 'space', 'cells');
        if (now === null) return api.get<SpaceCells>(path, { domain, cells: 1, extents: EXTENTS });
        const { first, last, cells } = stretch(now, grid, lastPage);
        return api.get<SpaceCells>(path, {
          domain,
          from: hexOf(first),
          to: hexOf(last, 4095),
          cells,
          extents: EXTENTS,
        });
      }),
    [],
  );
  useEffect(() => {
    player.perSecond = Number(query.rate) || 5;
    player.play(query.play !== 'off');
    if (query.play === 'off') void player.look();
    return () => player.end();
  }, []);

  const show = (next: View) => {
    const now = view.peek();
    if (now !== null && now.first === next.first && now.shift === next.shift) return;
    // The look that said where to begin is no picture.
    if (now === null) player.forget();
    view.value = next;
    cursor.value = -1;
    byState.clear();
    player.chosen.value = null;
    setQuery({ at: hexOf(next.first), shift: String(next.shift) });
    void player.look();
  };
  const showUse = () => {
    const { space } = player.looks.peek().at(-1) ?? {};
    const used = [...(space?.extents ?? [])].sort((a, b) => b.usedBytes - a.usedBytes)[0];
    if (used === undefined) return show(settled({ first: 0, shift: widest(grid, lastPage) }, grid, lastPage));
    show(fitted(pageOf(used.from) ?? 0, pageOf(used.to) ?? 0, grid, lastPage));
  };

  // The first look says where there is anything to see.
  useSignalEffect(() => {
    const newest = player.looks.value.at(-1);
    if (newest === undefined) return;
    if (view.peek() === null) {
      showUse();
      return;
    }
    const { pages, space, timeNs } = newest;
    byState.add(
      timeNs / 1e9,
      IN_VIEW.map((state) => pages[state] ?? 0),
    );
    if (space !== undefined) pieces.add(timeNs / 1e9, [space.ranges, space.freeRanges]);
  });

  const frame = useComputed<SpaceFrame | null>(() => {
    const shown = player.shown.value;
    return shown === null || view.value === null ? null : frameOf(shown);
  });

  const zoom = (by: number, page?: number) => {
    const now = view.peek();
    if (now === null) return;
    const middle = Math.floor((now.first + lastOf(now, grid, lastPage)) / 2);
    show(zoomed(now, by, page ?? middle, grid, lastPage));
  };
  const move = (rows: number) => {
    const now = view.peek();
    if (now !== null) show(moved(now, rows, grid, lastPage));
  };
  const play = () => player.play(!player.playing.peek());
  const runOn = async () => {
    try {
      await api.post(sessionPath(session, 'runs'), { forNs: RUN_NS });
      player.play(true);
    } catch (error) {
      tell(problemOf(error).detail, 'failed');
    }
  };
  useShortcut(' ', 'play or pause the picture', play);
  useShortcut('+', 'zoom in', () => zoom(-1));
  useShortcut('-', 'zoom out', () => zoom(1));
  useShortcut('f', 'show the part in use', showUse);
  useShortcut('r', 'run on for 20 ms of simulated time', () => void runOn());

  const looks = player.looks.value;
  const chosen = player.chosen.value ?? Math.max(0, looks.length - 1);
  const shown = player.shown.value;
  const now = view.value;
  const space = looks.at(-1)?.space;
  return (
    <>
      <ProblemNote problem={player.problem.value} />
      {shown !== null && space !== undefined && (
        <Figures
          items={[
            [
              'Simulated time',
              duration(shown.timeNs),
              player.playing.value ? `${figure(player.rate.value)} looks a second` : 'paused',
            ],
            ['Used', bytes(shown.space?.usedBytes ?? 0), plural(shown.space?.ranges ?? 0, 'range')],
            [
              'Within reach after unmap',
              `${count((shown.pages.stale ?? 0) + (shown.pages.remapped ?? 0))} pages`,
              'stale, in view',
            ],
            ['Waiting for a flush', `${count(shown.pages.queued ?? 0)} pages`, 'in view'],
            ['Free gaps', count(shown.space?.freeRanges ?? 0), `largest ${bytes(shown.space?.largestFreeBytes ?? 0)}`],
            ...(shown.kept === undefined
              ? []
              : [
                  [
                    'In magazines',
                    bytes(shown.kept.bytes),
                    `${plural(shown.kept.ranges, 'range')}, ${plural(shown.kept.depotMagazines, 'magazine')} in the depot`,
                  ] as const,
                ]),
          ]}
        />
      )}
      {space !== undefined && now !== null && (
        <Strip
          space={space}
          first={now.first}
          last={lastOf(now, grid, lastPage)}
          onChoose={(first, last) => show(fitted(first, last, grid, lastPage))}
        />
      )}
      <div class="space-main">
        <Card
          title="Addresses in rows"
          end={now !== null && <span class="faint small">a cell is {bytes(2 ** now.shift * 4096)}</span>}
        >
          <div class="space-controls">
            <div class="group">
              <button type="button" onClick={play} aria-pressed={player.playing.value}>
                {player.playing.value ? 'Pause' : 'Play'}
              </button>
              <label for="space-rate" class="hidden-text">
                Looks a second
              </label>
              <select
                id="space-rate"
                value={String(player.perSecond)}
                onChange={(event) => {
                  player.perSecond = Number(event.currentTarget.value);
                  setQuery({ rate: event.currentTarget.value });
                }}
              >
                {RATES.map((rate) => (
                  <option key={rate} value={rate}>
                    {rate} a second
                  </option>
                ))}
              </select>
            </div>
            <div class="group">
              <button
                type="button"
                aria-label="Zoom in"
                onClick={() => zoom(-1)}
                disabled={now === null || now.shift === 0}
              >
                +
              </button>
              <button
                type="button"
                aria-label="Zoom out"
                onClick={() => zoom(1)}
                disabled={now === null || now.shift >= widest(grid, lastPage)}
              >
                −
              </button>
              <button type="button" aria-label="To lower addresses" onClick={() => move(-grid.rows / 2)}>
                ↑
              </button>
              <button type="button" aria-label="To higher addresses" onClick={() => move(grid.rows / 2)}>
                ↓
              </button>
              <button type="button" onClick={showUse}>
                In use
              </button>
              <button
                type="button"
                onClick={() => show(settled({ first: 0, shift: widest(grid, lastPage) }, grid, lastPage))}
              >
                All
              </button>
            </div>
            <div class="space-scrub">
              <label for="space-time" class="hidden-text">
                Looks that were kept
              </label>
              <input
                id="space-time"
                type="range"
                min={0}
                max={Math.max(0, looks.length - 1)}
                value={chosen}
                disabled={looks.length < 2}
                aria-valuetext={
                  shown === null ? 'nothing yet' : `${duration(shown.timeNs)}, look ${chosen + 1} of ${looks.length}`
                }
                onInput={(event) => {
                  player.play(false);
                  player.chosen.value = Number(event.currentTarget.value);
                }}
              />
              <span class="small number">{shown === null ? '–' : duration(shown.timeNs)}</span>
            </div>
            <label class="group">
              <input
                type="checkbox"
                checked={isOutlined.value}
                onChange={(event) => {
                  isOutlined.value = event.currentTarget.checked;
                  setQuery({ outline: isOutlined.value ? 'on' : undefined });
                }}
              />
              Outline changes
            </label>
            {hasWorkloads && (
              <button type="button" onClick={() => void runOn()}>
                Run 20 ms
              </button>
            )}
          </div>
          <SpaceMap
            frame={frame}
            grid={grid}
            rowPx={rowPx}
            gutter={gutter}
            outlines={isOutlined.value}
            cursor={cursor}
            onZoom={zoom}
            onMove={move}
          />
          {frame.value !== null && <p class="hidden-text">{summaryOf(frame.value)}</p>}
          <p class="faint small">
            Click into the picture, then turn the wheel to zoom, or hold Ctrl. A triangle is a place that the allocator
            remembers
            {(shown?.marks.length ?? 0) > 0
              ? `: ${shown?.marks
                  .map(({ name, iova }) => `${name} ${iova}`)
                  .slice(0, 4)
                  .join(', ')}`
              : ''}
            .
          </p>
        </Card>
        <div class="stack">
          <Card title="Pages in view">
            <Legend reply={shown} />
          </Card>
          <Card title="Under the cursor">
            <Readout session={session} frame={frame.value} cell={cursor.value} />
          </Card>
        </div>
      </div>
      <div class="grid">
        <Chart
          title="Pages in view, by state"
          unit="pages"
          series={[
            { name: 'live' },
            { name: 'queued', colour: 5 },
            { name: 'stale', colour: 1 },
            { name: 'mapped anew', colour: 3 },
            { name: 'not flushed', colour: 4 },
            { name: 'kept', colour: 2 },
          ]}
          feed={byState}
        />
        <Chart
          title="Ageing"
          unit=""
          series={[{ name: 'ranges' }, { name: 'free gaps', dashed: true }]}
          feed={pieces}
          about="Ranges, and the free gaps between them, over the whole space: a space that ages is in more and more pieces."
        />
      </div>
    </>
  );
}

function plural(number: number, word: string): string {
  return `${count(number)} ${word}${number === 1 ? '' : 's'}`;
}

/** Of a link. */
function viewIn(query: Readonly<Record<string, string>>, grid: Grid, lastPage: number): View | null {
  const first = pageOf(query.at ?? '');
  const shift = Number(query.shift ?? Number.NaN);
  return first === null || !Number.isInteger(shift) ? null : settled({ first, shift }, grid, lastPage);
}
