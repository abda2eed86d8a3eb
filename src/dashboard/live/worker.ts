/**
 * The worker that reads the stream of a live page: socket, JSON, rates and points are none of the page's main thread, nor is the garbage
 * of them. The page says where to connect (`stream.ts`), as it is the one with a token; what comes is kept in a book (`book.ts`).
 */

import type { Run } from '../../api/contract-types.ts';
import type { ToSource } from '../parts/plotter.ts';
import { PointSender } from '../parts/points.ts';
import { type Gap, gapInWords, type Hello, isFrame, messageOf, Resume } from '../resume.ts';
import { Book } from './book.ts';
import type { Beginning, FromReader, LogWanted } from './wire.ts';

export type ToReader =
  /** On the port the plotter asks for points. */
  | { type: 'begin'; beginning: Beginning; port: MessagePort }
  | { type: 'open'; address: string }
  | { type: 'want'; wanted: LogWanted }
  /** What the server has answered: the stream may tell it later, or have told it before. */
  | { type: 'run'; run: Run }
  | { type: 'end' };

const TOPICS = ['metrics', 'runs', 'events', 'faults', 'verdicts'] as const;
const EVERY_MS = 100;
/** Frames of all topics from before, to have something to draw at once: some ten seconds of a busy session. */
const HISTORY = 300;

const resume = new Resume();
/** Newest frame when this worker came. */
let firstSequence = 0;
let socket: WebSocket | null = null;
let book: Book;

addEventListener('message', ({ data }: MessageEvent<ToReader>) => {
  switch (data.type) {
    case 'begin':
      book = new Book(data.beginning, tell);
      drawFor(data.port);
      break;
    case 'open':
      open(data.address);
      break;
    case 'want':
      book.want(data.wanted);
      break;
    case 'run':
      book.takeRun(data.run);
      break;
    case 'end':
      socket?.close();
      close();
  }
});

function tell(message: FromReader): void {
  postMessage(message);
}

/** Feeds each chart that the plotter asks for. */
function drawFor(port: MessagePort): void {
  const points = new PointSender((sent) => port.postMessage(sent, [sent.buffer]));
  const stops = new Map<number, () => void>();
  port.onmessage = ({ data }: MessageEvent<ToSource>) => {
    stops.get(data.chart)?.();
    stops.delete(data.chart);
    if (data.type === 'draw') stops.set(data.chart, book.feed(data.feed).listen(points.of(data.chart)));
  };
}

function open(address: string): void {
  try {
    const opened = new WebSocket(address, 'iommu-lab.v1');
    opened.onmessage = ({ data }) => take(data as string);
    opened.onclose = ({ code, reason }) => {
      socket = null;
      tell({ type: 'closed', code, reason });
    };
    socket = opened;
  } catch (error) {
    tell({ type: 'closed', code: 0, reason: (error as Error).message });
  }
}

function take(text: string): void {
  const message = messageOf(text);
  if (message.type === 'hello') {
    greet(message as Hello);
    return;
  }
  resume.take(message);
  if (isFrame(message)) book.take(message);
  else if (message.type === 'epoch') book.restart();
  else if (message.type === 'gap') {
    const gap = message as Gap;
    // What was before this page came is no loss of its.
    if (gap.reason === 'evicted' && gap.to !== null && gap.to <= firstSequence) return;
    book.gap(gapInWords(gap));
  }
}

function greet(hello: Hello): void {
  if (resume.epoch === null) firstSequence = hello.sequence;
  socket?.send(JSON.stringify(resume.subscribe(hello, TOPICS, EVERY_MS, HISTORY)));
  tell({ type: 'greeted' });
}
