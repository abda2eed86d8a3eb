/** Small parts that every page has: cards, figures, marks of a state, problems in words. */
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import type { Problem } from '../../api/contract-types.ts';

/** A region with a heading; `end` stands at the right of it. */
export function Card({
  title,
  end,
  wide,
  children,
}: {
  title: string;
  end?: ComponentChildren;
  wide?: boolean;
  children: ComponentChildren;
}) {
  const heading = useId();
  return (
    <section class={wide ? 'card wide' : 'card'} aria-labelledby={heading}>
      <header>
        <h2 id={heading}>{title}</h2>
        {end}
      </header>
      {children}
    </section>
  );
}

/** A row of numbers: `<Figures items={[['Throughput', '9.69 Gb/s', 'of 10 offered']]} />`. */
export function Figures({ items }: { items: readonly (readonly [name: string, value: string, note?: string])[] }) {
  return (
    <dl class="figures">
      {items.map(([name, value, note]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={value}>
            <Steady text={value} />
          </dd>
          {note !== undefined && (
            <dd class="beside-it">
              <Steady text={note} />
            </dd>
          )}
        </div>
      ))}
    </dl>
  );
}

const NUMBER = /(\d[\d,.]*(?:e[+-]?\d+)?)/;

/**
 * A text with its numbers in boxes as wide as the widest number that stood there: while they change, nothing around them is laid out anew,
 * nor does it jump.
 */
export function Steady({ text }: { text: string }) {
  const widest = useRef<number[]>([]).current;
  return (
    <>
      {text.split(NUMBER).map((part, i) => {
        if (i % 2 === 0) return part;
        widest[i] = Math.max(widest[i] ?? 0, widthOf(part));
        return (
          <span key={i} class="number-box" style={{ width: `${widest[i]}ch` }}>
            {part}
          </span>
        );
      })}
    </>
  );
}

/** In figures, of which commas and points are half as wide. */
function widthOf(number: string): number {
  return number.length - number.replace(/[^,.]/g, '').length / 2;
}

/** `running`, `finished`, `failed`, ... with its colour; the word is always there. */
export function StateMark({ state, text = state }: { state: string; text?: string }) {
  return <span class={`mark ${state}`}>{text}</span>;
}

/** A problem document, with every place that it names. */
export function ProblemNote({ problem }: { problem: Problem | null }) {
  if (problem === null) return null;
  const { title, detail, errors = [] } = problem;
  return (
    <div class="note bad" role="alert">
      <strong>{title}.</strong> {detail}
      {errors.length > 1 && (
        <ul>
          {errors.map(({ path, message }) => (
            <li key={path + message}>
              <code>{path || '/'}</code> {message}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Instead of an empty table: why it is empty, and what to do. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="faint">{children}</p>;
}
