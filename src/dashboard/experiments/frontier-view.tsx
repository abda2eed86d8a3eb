/** The frontier as a picture: SVG, so that its points are links which the keyboard reaches and a screen reader names. */
import { figure } from '../format.ts';
import { type FrontierPlot, type Point, placeOn } from './frontier.ts';
import { figureAt, figureText, metricName } from './words.ts';

const LEFT = 66;
const RIGHT = 16;
const TOP = 14;
const BOTTOM = 52;
const R = 11;

const STANDING: Record<Point['standing'], string> = {
  frontier: 'on the frontier',
  dominated: 'dominated',
  control: 'the control, without protection',
  unprotected: 'without protection',
  none: 'not placed',
};

export function FrontierView({
  plot,
  chosen,
  linkOf,
}: {
  plot: FrontierPlot;
  chosen: string | undefined;
  linkOf(arm: string): string;
}) {
  const { points, xAxis, yAxis, speed, exposure, lessIsFaster } = plot;
  // On a phone its own letters have to be read.
  const isNarrow = window.innerWidth < 640;
  const [width, height, lane] = isNarrow ? [400, 340, 72] : [760, 400, 86];
  const hasFree = points.some(({ lane }) => lane === 'unprotected');
  const hasNone = points.some(({ lane }) => lane === 'none');
  const from = LEFT + (hasNone ? lane : 0);
  const to = width - RIGHT - (hasFree ? lane : 0);
  const bottom = height - BOTTOM;
  const inset = 16;
  const y = (place: number) => bottom - inset - place * (bottom - TOP - 2 * inset);
  const x = (point: Point, place: number) => {
    if (point.lane === 'none') return LEFT + lane / 2;
    if (point.lane === 'unprotected') return width - RIGHT - lane / 2;
    return from + inset + place * (to - from - 2 * inset);
  };
  const best = points.filter(({ standing }) => standing === 'frontier').sort((a, b) => x(a, a.x) - x(b, b.x));
  const words = points.map((point) => `${point.number}, ${point.arm.label}: ${STANDING[point.standing]}`).join('; ');
  const spread = spreadOut(points.map((point) => ({ point, x: x(point, point.x), y: y(point.y) })));
  return (
    <figure class="frontier-figure" aria-label={`Speed against exposure. ${words}.`}>
      <svg class="frontier-plot" viewBox={`0 0 ${width} ${height}`}>
        <title>Speed against exposure</title>
        {hasNone && <rect class="lane" x={LEFT} y={TOP} width={lane - 6} height={bottom - TOP} />}
        {hasFree && <rect class="lane" x={to + 6} y={TOP} width={lane - 6} height={bottom - TOP} />}
        {yAxis.ticks.map((tick) => {
          const at = y(lessIsFaster ? 1 - placeOn(yAxis, tick) : placeOn(yAxis, tick));
          return (
            <g key={`y ${tick}`}>
              <line class="axis" x1={LEFT} x2={width - RIGHT} y1={at} y2={at} />
              <text x={LEFT - 8} y={at} text-anchor="end" dominant-baseline="central">
                {short(tick)}
              </text>
            </g>
          );
        })}
        {xAxis?.ticks.map((tick) => {
          const at = from + inset + placeOn(xAxis, tick) * (to - from - 2 * inset);
          return (
            <g key={`x ${tick}`}>
              <line class="axis" x1={at} x2={at} y1={TOP} y2={bottom} />
              <text x={at} y={bottom + 16} text-anchor="middle">
                {short(tick)}
              </text>
            </g>
          );
        })}
        {hasNone && (
          <text x={LEFT + lane / 2 - 3} y={bottom + 16} text-anchor="middle">
            none
          </text>
        )}
        {hasFree && (
          <text x={width - RIGHT - lane / 2 + 3} y={bottom + 16} text-anchor="middle">
            unprotected
          </text>
        )}
        <text x={(LEFT + width - RIGHT) / 2} y={height - 10} text-anchor="middle">
          {metricName(exposure)} (less is safer, to the left)
        </text>
        <text transform={`translate(14 ${(TOP + bottom) / 2}) rotate(-90)`} text-anchor="middle">
          {metricName(speed)} ({lessIsFaster ? 'less is faster, upwards' : 'more is faster'})
        </text>
        <polyline class="frontier-line" points={best.map((point) => `${x(point, point.x)},${y(point.y)}`).join(' ')} />
        {spread.map(({ point, x: atX, y: atY }) => (
          <a
            key={point.arm.id}
            href={linkOf(point.arm.id)}
            class={`${point.standing} ${chosen === point.arm.id ? 'chosen' : ''}`}
            aria-label={`${point.number}, ${point.arm.label}, ${STANDING[point.standing]}: ${figureText(figureAt(point.arm, speed), speed)}, ${metricName(speed)}`}
          >
            <title>
              {point.arm.label}: {STANDING[point.standing]}
            </title>
            {point.lane === 'axis' && point.xLow !== point.xHigh && (
              <line
                class="whisker"
                x1={x(point, point.xLow)}
                x2={x(point, point.xHigh)}
                y1={y(point.y)}
                y2={y(point.y)}
              />
            )}
            {point.yLow !== point.yHigh && (
              <line
                class="whisker"
                x1={x(point, point.x)}
                x2={x(point, point.x)}
                y1={y(point.yLow)}
                y2={y(point.yHigh)}
              />
            )}
            <Shape point={point} x={atX} y={atY} />
            <text x={atX} y={atY + (point.lane === 'unprotected' ? 2 : 0)}>
              {point.number}
            </text>
          </a>
        ))}
      </svg>
    </figure>
  );
}

/** Of an axis: 1,500,000 is too wide. */
function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return value === 0 || value >= 1e-4 ? String(Number(value.toPrecision(4))) : figure(value);
}

/** Round: on the frontier. Square: dominated. Triangle: without protection. */
function Shape({ point: { standing }, x, y }: { point: Point; x: number; y: number }) {
  if (standing === 'control' || standing === 'unprotected')
    return <polygon class="shape" points={`${x},${y - R - 4} ${x + R + 3},${y + R - 2} ${x - R - 3},${y + R - 2}`} />;
  if (standing === 'dominated')
    return <rect class="shape" x={x - R + 1} y={y - R + 1} width={2 * R - 2} height={2 * R - 2} />;
  return <circle class="shape" cx={x} cy={y} r={R} />;
}

/** Marks over each other are moved sideways until their numbers can be read; a line of the frontier goes through the true places. */
function spreadOut<Placed extends { x: number; y: number }>(marks: Placed[]): Placed[] {
  const placed: Placed[] = [];
  for (const mark of [...marks].sort((a, b) => a.x - b.x || a.y - b.y)) {
    let { x } = mark;
    for (
      let tries = 0;
      tries < 40 && placed.some((other) => Math.abs(other.x - x) < 2 * R && Math.abs(other.y - mark.y) < 2 * R);
      tries++
    )
      x = mark.x + (tries % 2 === 0 ? 1 : -1) * (Math.floor(tries / 2) + 1) * R;
    placed.push({ ...mark, x });
  }
  return placed;
}
