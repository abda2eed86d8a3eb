/** The log of what happened, newest first; kinds can be left out, and it can be held to be read. */
import { useSignal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { count, duration } from '../format.ts';
import { drawer } from '../frames.ts';
import { verdictVariable } from '../palette.ts';
import { Card, Empty } from '../parts/bits.tsx';
import { useShortcut } from '../shortcuts.ts';
import { useDrawn } from '../use-drawn.ts';
import { KEPT, type LineKind, type LogLine, towards } from './log.ts';
import { memo } from './memo.ts';
import type { LiveStore } from './store.ts';

const KINDS: [kind: LineKind, name: string][] = [
  ['fault', 'faults'],
  ['verdict', 'verdicts'],
  ['event', 'events'],
  ['run', 'runs'],
  ['gap', 'gaps'],
];
/** While it runs on: what is seen of it. To hold it or to scroll in it shows more. */
const SHOWN = 20;
/** New lines in a frame. */
const AT_ONCE = 2;

export function LogView({ store }: { store: LiveStore }) {
  const shown = useSignal<ReadonlySet<LineKind>>(new Set(KINDS.map(([kind]) => kind)));
  const held = useSignal<readonly LogLine[] | null>(null);
  const hold = () => {
    held.value = held.value === null ? store.lines.peek() : null;
  };
  useShortcut('h', 'hold the log, or let it go', hold);
  const isScrolled = useSignal(false);
  const most = held.value === null && !isScrolled.value ? SHOWN : KEPT;
  const wanted = (from: readonly LogLine[]) => from.filter(({ kind }) => shown.peek().has(kind)).slice(0, most);
  const following = useFollowed(store, wanted, `${most} ${[...shown.value].join()}`);
  const lines = held.value === null ? following : wanted(held.value);
  const gaps = store.gaps.value;
  return (
    <Card
      title="As it happens"
      wide
      end={
        <span class="row small">
          {KINDS.map(([kind, name]) => (
            <label key={kind} class="row">
              <input
                type="checkbox"
                checked={shown.value.has(kind)}
                onChange={() => {
                  shown.value = toggled(shown.value, kind);
                }}
              />
              {name}
            </label>
          ))}
          <button type="button" aria-pressed={held.value !== null} onClick={hold}>
            {held.value === null ? 'Hold' : 'Let go'}
          </button>
        </span>
      }
    >
      {gaps.length > 0 && (
        <p class="note warn small">
          {gaps.at(-1)}
          {gaps.length > 1 && ` ${gaps.length - 1} more before.`}
        </p>
      )}
      <Dropped store={store} />
      {lines.length === 0 ? (
        <Empty>Nothing yet. Start a run.</Empty>
      ) : (
        <div
          class="log"
          role="log"
          aria-live="off"
          aria-label="Faults, verdicts, events, runs and gaps, newest first"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
          tabIndex={0}
          onScroll={({ currentTarget }) => {
            isScrolled.value = currentTarget.scrollTop > 0;
          }}
        >
          {lines.map((line) => (
            <Line key={line.serial} line={line} />
          ))}
        </div>
      )}
    </Card>
  );
}

function Dropped({ store }: { store: LiveStore }) {
  const dropped = useDrawn(store.dropped);
  if (dropped === 0) return null;
  return (
    <p class="faint small">
      The simulation was faster than can be told: {count(dropped)} lines were left out. The counters above miss nothing.
    </p>
  );
}

/** The newest lines, new ones a few in each frame. What is `wanted` of them is another when `key` is. */
function useFollowed(
  store: LiveStore,
  wanted: (from: readonly LogLine[]) => readonly LogLine[],
  key: string,
): readonly LogLine[] {
  const newest = useRef(wanted);
  newest.current = wanted;
  const [lines, setLines] = useState(() => wanted(store.lines.peek()));
  useEffect(() => {
    let shown = newest.current(store.lines.peek());
    setLines(shown);
    const drawing = drawer(() => {
      const all = newest.current(store.lines.peek());
      shown = towards(shown, all, AT_ONCE);
      setLines(shown);
      if (shown[0] !== all[0]) drawing.ask();
    }, 2);
    const stop = store.lines.subscribe(() => drawing.ask());
    return () => {
      stop();
      drawing.end();
    };
  }, [store, key]);
  return lines;
}

/** A line never changes. */
const Line = memo(({ line: { kind, timeNs, what, text, more } }: { line: LogLine }) => (
  <div class={`line ${kind}`}>
    <span class="at faint">{timeNs === null ? '' : duration(timeNs)}</span>
    <span class="what" style={kind === 'verdict' ? { color: verdictVariable(what) } : {}}>
      {kind === 'verdict' ? what : kind}
    </span>
    <span class="text">
      <code>{text}</code>
      {more !== '' && <span class="more faint"> {more}</span>}
    </span>
  </div>
));

function toggled(kinds: ReadonlySet<LineKind>, kind: LineKind): ReadonlySet<LineKind> {
  const next = new Set(kinds);
  if (!next.delete(kind)) next.add(kind);
  return next;
}
