/** The log of what happened, newest first; kinds can be left out, and it can be held to be read. */
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { count } from '../format.ts';
import { drawer } from '../frames.ts';
import { Card, Empty, Steady } from '../parts/bits.tsx';
import { useShortcut } from '../shortcuts.ts';
import { useDrawn } from '../use-drawn.ts';
import { KEPT, type LineKind, type LogLine, towards } from './log.ts';
import { LogRows } from './log-rows.ts';
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
const AT_ONCE = 5;

export function LogView({ store }: { store: LiveStore }) {
  const shown = useSignal<ReadonlySet<LineKind>>(new Set(KINDS.map(([kind]) => kind)));
  const held = useSignal(false);
  const hold = () => {
    held.value = !held.value;
  };
  useShortcut('h', 'hold the log, or let it go', hold);
  const isScrolled = useSignal(false);
  const most = held.value || isScrolled.value ? KEPT : SHOWN;
  useEffect(
    () => store.want({ kinds: [...shown.value], most, held: held.value }),
    [store, shown.value, most, held.value],
  );
  const isEmpty = useComputed(() => store.lines.value.lines.length === 0).value;
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
          <button type="button" aria-pressed={held.value} onClick={hold}>
            {held.value ? 'Let go' : 'Hold'}
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
      {isEmpty && <Empty>Nothing yet. Start a run.</Empty>}
      <Lines
        store={store}
        isEmpty={isEmpty}
        onScroll={(top) => {
          isScrolled.value = top > 0;
        }}
      />
    </Card>
  );
}

function Dropped({ store }: { store: LiveStore }) {
  const dropped = useDrawn(store.dropped);
  if (dropped === 0) return null;
  return (
    <p class="faint small">
      <Steady
        text={`The simulation was faster than can be told: ${count(dropped)} lines were left out. The counters above miss nothing.`}
      />
    </p>
  );
}

/** The newest lines, new ones a few in each frame. */
function Lines({ store, isEmpty, onScroll }: { store: LiveStore; isEmpty: boolean; onScroll(top: number): void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const rows = new LogRows(place.current as HTMLElement);
    let shown: readonly LogLine[] = [];
    const drawing = drawer(() => {
      const { lines, anew } = store.lines.peek();
      shown = anew ? lines : towards(shown, lines, AT_ONCE);
      rows.show(shown);
      if (shown[0] !== lines[0]) drawing.ask();
    }, 2);
    const stop = store.lines.subscribe(() => drawing.ask());
    return () => {
      stop();
      drawing.end();
    };
  }, [store]);
  return (
    // A block of its own: what is an item of a grid has all of the grid laid out with it.
    <div hidden={isEmpty}>
      <div
        ref={place}
        class="log"
        role="log"
        aria-live="off"
        aria-label="Faults, verdicts, events, runs and gaps, newest first"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
        tabIndex={0}
        onScroll={({ currentTarget }) => onScroll(currentTarget.scrollTop)}
      />
    </div>
  );
}

function toggled(kinds: ReadonlySet<LineKind>, kind: LineKind): ReadonlySet<LineKind> {
  const next = new Set(kinds);
  if (!next.delete(kind)) next.add(kind);
  return next;
}
