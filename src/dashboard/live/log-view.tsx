/** The log of what happened, newest first; kinds can be left out, and it can be held to be read. */
import { useSignal } from '@preact/signals';
import { count, duration } from '../format.ts';
import { verdictVariable } from '../palette.ts';
import { Card, Empty } from '../parts/bits.tsx';
import { useShortcut } from '../shortcuts.ts';
import type { LineKind, LogLine } from './log.ts';
import { memo } from './memo.ts';
import type { LiveStore } from './store.ts';

const KINDS: [kind: LineKind, name: string][] = [
  ['fault', 'faults'],
  ['verdict', 'verdicts'],
  ['event', 'events'],
  ['run', 'runs'],
  ['gap', 'gaps'],
];
const SHOWN = 60;

export function LogView({ store }: { store: LiveStore }) {
  const shown = useSignal<ReadonlySet<LineKind>>(new Set(KINDS.map(([kind]) => kind)));
  const held = useSignal<readonly LogLine[] | null>(null);
  const hold = () => {
    held.value = held.value === null ? store.lines.peek() : null;
  };
  useShortcut('h', 'hold the log, or let it go', hold);
  // A verdict `fault` is told by its fault.
  const lines = (held.value ?? store.lines.value)
    .filter(({ kind, what }) => shown.value.has(kind) && !(kind === 'verdict' && what === 'fault'))
    .slice(0, SHOWN);
  const dropped = store.dropped.value;
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
      {dropped > 0 && (
        <p class="faint small">
          The simulation was faster than can be told: {count(dropped)} lines were left out. The counters above miss
          nothing.
        </p>
      )}
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
        >
          {lines.map((line) => (
            <Line key={line.serial} line={line} />
          ))}
        </div>
      )}
    </Card>
  );
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
