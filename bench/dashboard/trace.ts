/**
 * Main-thread work by frame, from a trace of Chromium.
 *
 * A frame begins where the renderer's main thread is told to make one (`BeginMainThreadFrame`) and ends where the next begins. Its work is
 * all that the thread ran in between (`RunTask`): messages of workers, timers, drawing, style, layout, garbage collection. Time on the wall,
 * and time of the processor (`tdur`), which a busy machine does not stretch. What the frames with the most work consist of is told by kind:
 * each event's own time, without that of the events inside it, belongs to the innermost event around it that names a kind.
 *
 * A thread's clock on a virtual machine is its time on a processor less what the host took away, and the host says that late: some tasks in
 * ten thousand have more of the processor than of the wall, 4.96 ms in 0.87, say. No more than the time on the wall is taken for theirs.
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
  args?: { name?: string; src_file?: string; data?: { functionName?: string } };
}

const KINDS = [
  'messages of workers',
  'numbers',
  'elements made anew',
  'timers',
  'style and layout',
  'paint and layers',
  'canvases of this thread',
  'garbage collection',
  "the browser's own",
] as const;
export type Kind = (typeof KINDS)[number];

export interface FrameWork {
  frames: number;
  perSecond: number;
  wallMs: Spread;
  cpuMs: Spread;
  /** The same without the collector's own tasks, which run where nothing else waits, each of 5 ms at most: a frame need not wait for more. */
  pageMs: Spread;
  pageOver: number;
  /** Tasks whose processor time was more than their time on the wall, and by how much in all. */
  clipped: { tasks: number; ms: number };
  /** Frames with work of more than 8 ms on the processor: how much, how long the frame was, and of which kind most of it is. */
  over: { cpuMs: number; lengthMs: number; kind: Kind; kindMs: number }[];
  /** Processor time of a frame by kind, in ms, most first: mean of the twentieth of all frames with the most work, and of all. */
  kinds: { kind: Kind; worstMs: number; allMs: number }[];
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
  /** [task]: the frame that it belongs to, -1 for none. */
  const frameOf = new Int32Array(tasks.length).fill(-1);
  let frame = 0;
  const clipped = { tasks: 0, ms: 0 };
  for (const [task, event] of tasks.entries()) {
    const { ts, dur = 0, tdur = 0 } = event;
    // The task that begins a frame begins a little before its mark.
    const middle = ts + dur / 2;
    while (frame < wall.length && middle >= (begins[frame + 1] as number)) frame++;
    if (frame === wall.length) break;
    if (middle < (begins[frame] as number)) continue;
    wall[frame]! += dur / 1000;
    cpu[frame]! += cpuOf(event) / 1000;
    frameOf[task] = frame;
    if (tdur - dur > CLOCK_US) {
      clipped.tasks++;
      clipped.ms += (tdur - dur) / 1000;
    }
  }
  const kinds = kindsOf(own, tasks, frameOf, cpu);
  const page = cpu.map((ms, at) => ms - (kinds.collector[at] as number));
  const seconds = ((begins.at(-1) as number) - (begins[0] as number)) / 1e6;
  return {
    frames: wall.length,
    perSecond: wall.length / seconds,
    wallMs: spreadOf(wall),
    cpuMs: spreadOf(cpu),
    pageMs: spreadOf(page),
    pageOver: page.filter((ms) => ms > AIM_MS).length,
    clipped,
    over: kinds.over.map(({ frame: at, ms }) => {
      const [kind, kindMs] = [...ms].sort((a, b) => b[1] - a[1])[0] as [Kind, number];
      const lengthMs = ((begins[at + 1] as number) - (begins[at] as number)) / 1000;
      return { cpuMs: cpu[at] as number, lengthMs, kind, kindMs };
    }),
    kinds: kinds.means,
  };
}

/** Both clocks are read one after the other. */
const CLOCK_US = 50;

function cpuOf({ dur = 0, tdur = dur }: TraceEvent): number {
  return Math.min(tdur, dur);
}

/** The share of frames that are looked at closely. */
const WORST = 0.05;

function kindsOf(
  own: readonly TraceEvent[],
  tasks: readonly TraceEvent[],
  frameOf: Int32Array,
  cpu: Float64Array,
): { means: FrameWork['kinds']; over: { frame: number; ms: Map<Kind, number> }[]; collector: Float64Array } {
  const bound = cpu.toSorted().at(-Math.ceil(cpu.length * WORST)) as number;
  const worst = { frames: cpu.filter((ms) => ms >= bound).length, ms: new Map<Kind, number>() };
  const all = { frames: cpu.length, ms: new Map<Kind, number>() };
  const collector = new Float64Array(cpu.length);
  const over = [...cpu.keys()]
    .filter((frame) => (cpu[frame] as number) > AIM_MS)
    .map((frame) => ({ frame, ms: new Map<Kind, number>() }));
  const events = own.filter(({ ph }) => ph === 'X').sort((a, b) => a.ts - b.ts || (b.dur ?? 0) - (a.dur ?? 0));
  const around: { end: number; kind: Kind; name: string }[] = [];
  let task = 0;
  for (const event of events) {
    const { ts, dur = 0 } = event;
    while (around.length > 0 && (around.at(-1) as { end: number }).end <= ts) around.pop();
    const { kind: outer, name: outerName } = around.at(-1) ?? { kind: "the browser's own" as const, name: '' };
    const kind = kindOf(event, outer, outerName);
    around.push({ end: ts + dur, kind, name: event.name });
    while (task + 1 < tasks.length && (tasks[task + 1] as TraceEvent).ts <= ts) task++;
    const frame = frameOf[task] as number;
    const within = tasks[task] as TraceEvent;
    if (frame === -1 || ts < within.ts || ts >= within.ts + (within.dur ?? 0)) continue;
    const ownMs = cpuOf(event) / 1000;
    if (isOfCollector(event)) collector[frame]! += ownMs;
    const of = over.filter((each) => each.frame === frame);
    for (const { ms } of (cpu[frame] as number) >= bound ? [worst, all, ...of] : [all]) {
      ms.set(kind, (ms.get(kind) ?? 0) + ownMs);
      // What it is inside of has been counted with it.
      if (event !== within) ms.set(outer, (ms.get(outer) ?? 0) - ownMs);
    }
  }
  const mean = (of: typeof all, kind: Kind) => (of.ms.get(kind) ?? 0) / of.frames;
  const means = KINDS.map((kind) => ({ kind, worstMs: mean(worst, kind), allMs: mean(all, kind) }));
  return { means: means.sort((a, b) => b.worstMs - a.worstMs), over, collector };
}

const BY_NAME: Readonly<Record<string, Kind>> = {
  HandlePostMessage: 'messages of workers',
  'Receive mojo message': 'messages of workers',
  FireAnimationFrame: 'numbers',
  TimerFire: 'timers',
  UpdateLayoutTree: 'style and layout',
  Layout: 'style and layout',
  PrePaint: 'paint and layers',
  Paint: 'paint and layers',
  Layerize: 'paint and layers',
  Commit: 'paint and layers',
  'LayerTreeHost::DoUpdateLayers': 'canvases of this thread',
  'Canvas2DResourceProvider::ProduceCanvasResource': 'canvases of this thread',
};

/** Tasks of the collector itself, such as sweeping, name only where they come from. */
function isOfCollector({ args }: TraceEvent): boolean {
  return args?.src_file?.includes('/heap/') === true;
}

function kindOf(event: TraceEvent, outer: Kind, outerName: string): Kind {
  const { name, args } = event;
  const known = BY_NAME[name];
  if (known !== undefined) return known;
  if (isOfCollector(event)) return 'garbage collection';
  if (/^(?:V8\.GC|CppGC|BlinkGC|M(?:inor|ajor)GC)/.test(name)) return 'garbage collection';
  const functionName = args?.data?.functionName ?? '';
  if (name === 'FunctionCall' && functionName.endsWith('onmessage') && !functionName.endsWith('port1.onmessage'))
    return 'messages of workers';
  // What runs at the end of a call, before anything else does: the renderer of elements.
  if (name === 'v8.callFunction' && outerName === name) return 'elements made anew';
  return outer;
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
