/** How far something is, on stderr: a bar where a person looks on, else a line now and then, as a log wants it. */
import type { SingleBar } from 'cli-progress';

/** Between two lines of a log. */
const LINE_MS = 5000;

export interface Progress {
  /** @param done of `total`, which may change */
  at(done: number, total: number): void;
  /** Leaves the line to what follows. */
  end(): void;
}

const SILENT: Progress = { at() {}, end() {} };

/** @param what is counted: `jobs` */
export async function progress(what: string, quiet = false): Promise<Progress> {
  if (quiet) return SILENT;
  return process.stderr.isTTY ? new Bar(await bar(what)) : new Lines(what);
}

async function bar(what: string): Promise<SingleBar> {
  const { default: cliProgress } = await import('cli-progress');
  return new cliProgress.SingleBar({
    format: `{bar} {value} of {total} ${what}, {duration_formatted}`,
    barCompleteChar: '#',
    barIncompleteChar: '.',
    barsize: Math.max(10, Math.min(40, (process.stderr.columns ?? 80) - 40)),
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    linewrap: false,
    // Ctrl-C is the command's business, which ends the bar.
    gracefulExit: false,
  });
}

class Bar implements Progress {
  private readonly bar: SingleBar;
  private begun = false;

  constructor(drawn: SingleBar) {
    this.bar = drawn;
  }

  at(done: number, total: number): void {
    if (!this.begun) this.bar.start(total, done);
    else {
      if (this.bar.getTotal() !== total) this.bar.setTotal(total);
      this.bar.update(done);
    }
    this.begun = true;
  }

  end(): void {
    if (this.begun) this.bar.stop();
  }
}

class Lines implements Progress {
  private readonly what: string;
  private saidAt = performance.now();
  private said = '';

  constructor(what: string) {
    this.what = what;
  }

  at(done: number, total: number): void {
    const text = `${done} of ${total} ${this.what}`;
    if (text === this.said || performance.now() - this.saidAt < LINE_MS) return;
    this.saidAt = performance.now();
    this.said = text;
    if (process.stderr.writable) process.stderr.write(`iommu-lab: ${text}\n`);
  }

  end(): void {}
}
