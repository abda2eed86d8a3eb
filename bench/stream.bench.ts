/**
 * Fan-out: the same frames to 1, 100 and 1,000 subscribers, by the stream of this server and by a bare `ws` broadcast; and to 100 in
 * each way that there is to have the stream.
 */
import { type Emit, type Emitted, SESSION } from './service/broadcasts.ts';
import { Helper } from './service/children.ts';
import { EventCounter } from './service/event-counter.ts';
import { FrameCounter } from './service/frame-counter.ts';
import { interleaved, ratios, row } from './service/rounds.ts';

const AIM = 0.7;
/**
 * Frames go out in bursts of 4,000 deliveries, the next when all have arrived: a sender that runs ahead of a thousand sockets fills
 * the kernel's memory for TCP, and then measures that.
 */
const SIZES = [
  { subscribers: 1, burst: 4_000, bursts: 3 },
  { subscribers: 100, burst: 40, bursts: 10 },
  { subscribers: 1_000, burst: 4, bursts: 12 },
] as const;

/** How an audience is spoken to; `bare` is not the stream's protocol, and nobody has to subscribe. */
type Way = 'bare' | 'text' | 'binary' | 'events';

/** One server with its subscribers. */
class Audience {
  private readonly helper: Helper;
  private readonly counters: (FrameCounter | EventCounter)[] = [];
  private readonly way: Way;
  private wake: (() => void) | null = null;

  constructor(helper: Helper, way: Way) {
    this.helper = helper;
    this.way = way;
  }

  async grow(subscribers: number): Promise<void> {
    while (this.counters.length < subscribers) {
      const counter = await this.open();
      this.counters.push(counter);
      if (this.way === 'bare') continue;
      counter.say({ type: 'subscribe', topics: ['events'] });
      // `hello` and `subscribed`.
      await this.until(() => counter.frames === 2);
    }
    for (const counter of this.counters) counter.frames = 0;
  }

  private async open(): Promise<FrameCounter | EventCounter> {
    const { port } = this.helper;
    const path = `/v1/sessions/${SESSION}/stream`;
    const counted = (): void => this.wake?.();
    switch (this.way) {
      case 'bare':
        return FrameCounter.open(port, '/', counted);
      case 'text':
        return FrameCounter.open(port, path, counted);
      case 'binary':
        return FrameCounter.open(port, path, counted, 'iommu-lab.v1.cbor');
      case 'events':
        return EventCounter.open(port, `${path}?topics=events`, counted);
    }
  }

  /** @returns deliveries a second, and the sender's time of a core for each, in seconds */
  async receive(burst: number, bursts: number): Promise<{ perSecond: number; cpuSeconds: number }> {
    const begin = performance.now();
    let cpuSeconds = 0;
    const emit: Emit = { frames: burst };
    for (let nth = 0; nth < bursts; nth++) {
      for (const counter of this.counters) counter.frames = 0;
      const emitted = this.helper.ask<Emitted>(emit);
      await this.until(() => this.counters.every((counter) => counter.frames >= burst));
      cpuSeconds += (await emitted).cpuSeconds;
    }
    const deliveries = burst * bursts * this.counters.length;
    return { perSecond: deliveries / ((performance.now() - begin) / 1000), cpuSeconds: cpuSeconds / deliveries };
  }

  private async until(reached: () => boolean): Promise<void> {
    while (!reached()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    this.wake = null;
  }

  async close(): Promise<void> {
    for (const counter of this.counters) counter.close();
    await this.helper.stop();
  }
}

export async function run({ smoke }: { smoke: boolean }): Promise<void> {
  const ours = new Audience(await Helper.start('./hub-server.ts'), 'text');
  const bare = new Audience(await Helper.start('./bare-ws.ts'), 'bare');
  try {
    console.log('Stream: frames of 2 kB, deliveries');
    for (const { subscribers, burst, bursts } of smoke ? SIZES.slice(0, 2) : SIZES) {
      await ours.grow(subscribers);
      await bare.grow(subscribers);
      const cpu: number[][] = [[], []];
      const measure = (audience: Audience, which: number) => async (): Promise<number> => {
        const { perSecond, cpuSeconds } = await audience.receive(smoke ? Math.ceil(burst / 20) : burst, bursts);
        cpu[which]!.push(cpuSeconds * 1e6);
        return perSecond;
      };
      const measures = [measure(ours, 0), measure(bare, 1)];
      await interleaved(smoke ? 1 : 2, measures);
      for (const values of cpu) values.length = 0;
      const [stream = [], broadcast = []] = await interleaved(smoke ? 2 : 11, measures);
      row(`${subscribers} subscribers, this server`, stream, 'frames/s');
      row(`${subscribers} subscribers, bare ws broadcast`, broadcast, 'frames/s');
      row(`${subscribers} subscribers, ratio, aim ${AIM}`, ratios(stream, broadcast), '', 2);
      row(`${subscribers} subscribers, core time a frame, bare / this`, ratios(cpu[1]!, cpu[0]!), '', 2);
    }
  } finally {
    await Promise.all([ours.close(), bare.close()]);
  }
  await compareWays(smoke);
}

async function compareWays(smoke: boolean): Promise<void> {
  const [, { subscribers, burst, bursts }] = SIZES;
  const ways = ['text', 'binary', 'events'] as const;
  const audiences: Audience[] = [];
  try {
    const cpu: number[][] = ways.map(() => []);
    for (const way of ways) {
      const audience = new Audience(await Helper.start('./hub-server.ts'), way);
      audiences.push(audience);
      await audience.grow(subscribers);
    }
    const measures = audiences.map((audience, which) => async (): Promise<number> => {
      const { perSecond, cpuSeconds } = await audience.receive(smoke ? Math.ceil(burst / 20) : burst, bursts);
      cpu[which]!.push(cpuSeconds * 1e6);
      return perSecond;
    });
    await interleaved(1, measures);
    for (const values of cpu) values.length = 0;
    const found = await interleaved(smoke ? 1 : 7, measures);
    for (const [i, way] of ways.entries()) {
      row(`${subscribers} subscribers, ${way}`, found[i]!, 'frames/s');
      row(`${subscribers} subscribers, ${way}, core time a frame`, cpu[i]!, 'us', 2);
    }
  } finally {
    await Promise.all(audiences.map((audience) => audience.close()));
  }
}
