/**
 * Main-thread work by frame, from a trace of Chromium.
 *
 * A frame begins where the renderer's main thread is told to make one (`BeginMainThreadFrame`) and ends where the next begins. Its work is
 * all that the thread ran in between (`RunTask`): messages of the stream, timers, drawing, style, layout, garbage collection. Time on the
 * wall, and time of the processor (`tdur`), which a busy machine does not stretch.
 */

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds. */
  ts: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

export interface FrameWork {
  frames: number;
  perSecond: number;
  wallMs: Spread;
  cpuMs: Spread;
  /** Of frames with work of more than 8 ms on the processor. */
  overAim: number;
}

export interface Spread {
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

export const AIM_MS = 8;

export function frameWork(trace: Buffer): FrameWork {
  const { traceEvents } = JSON.parse(trace.toString('utf8')) as { traceEvents: TraceEvent[] };
  const { pid, tid } = mainThread(traceEvents);
  const own = traceEvents.filter((event) => event.pid === pid && event.tid === tid);
  const begins = own
    .filter(({ name }) => name === 'BeginMainThreadFrame')
    .map(({ ts }) => ts)
    .sort((a, b) => a - b);
  const tasks = own.filter(({ name, ph }) => name === 'RunTask' && ph === 'X').sort((a, b) => a.ts - b.ts);
  if (begins.length < 3 || tasks.length === 0)
    throw new Error(`the trace has ${begins.length} frames and ${tasks.length} tasks`);
  const wall = new Float64Array(begins.length - 1);
  const cpu = new Float64Array(begins.length - 1);
  let frame = 0;
  for (const { ts, dur = 0, tdur = dur } of tasks) {
    // The task that begins a frame begins a little before its mark.
    const middle = ts + dur / 2;
    while (frame < wall.length && middle >= (begins[frame + 1] as number)) frame++;
    if (frame === wall.length) break;
    if (middle < (begins[frame] as number)) continue;
    wall[frame]! += dur / 1000;
    cpu[frame]! += tdur / 1000;
  }
  const seconds = ((begins.at(-1) as number) - (begins[0] as number)) / 1e6;
  return {
    frames: wall.length,
    perSecond: wall.length / seconds,
    wallMs: spreadOf(wall),
    cpuMs: spreadOf(cpu),
    overAim: cpu.filter((ms) => ms > AIM_MS).length,
  };
}

/** Of the renderer that has drawn the most: the page's. */
function mainThread(events: readonly TraceEvent[]): { pid: number; tid: number } {
  const threads = events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain');
  const drawn = threads.map(({ pid, tid }) => ({
    pid,
    tid,
    frames: events.filter((event) => event.pid === pid && event.tid === tid && event.name === 'BeginMainThreadFrame')
      .length,
  }));
  const most = drawn.sort((a, b) => b.frames - a.frames)[0];
  if (most === undefined) throw new Error('the trace has no renderer');
  return most;
}

function spreadOf(values: Float64Array): Spread {
  const sorted = values.toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: sorted.at(-1) as number };
}
