/** Whether there may be one more trace, or more bytes: bounds of each owner, of the server, and what its disk has left. */
import { statfs } from 'node:fs/promises';
import type { HostProblem } from '../../host/host.ts';
import { QUOTA_RETRY_SECONDS } from '../../host/problems.ts';
import type { ArchiveLimits } from './limits.ts';
import { tooLarge } from './problems.ts';
import type { Register } from './register.ts';

/** What one owner may have; 0: no limit. */
export interface OwnerBounds {
  traces: number;
  /** On the disk. */
  traceBytes: number;
}

const NO_BOUNDS: Readonly<OwnerBounds> = { traces: 0, traceBytes: 0 };

export class Room {
  private readonly folder: string;
  private readonly limits: Readonly<ArchiveLimits>;
  private readonly register: Register;
  private boundsOf: (owner: string) => OwnerBounds = () => NO_BOUNDS;

  /** @param folder on the disk in question */
  constructor(folder: string, limits: Readonly<ArchiveLimits>, register: Register) {
    this.folder = folder;
    this.limits = limits;
    this.register = register;
  }

  /** From now on owners have these bounds. */
  govern(boundsOf: (owner: string) => OwnerBounds): void {
    this.boundsOf = boundsOf;
  }

  /** Why there may not be one trace more, of so many bytes, or null. */
  refuseTrace(bytes: number, owner: string): HostProblem | null {
    const { traces } = this.boundsOf(owner);
    const used = this.register.countOf(owner);
    if (traces > 0 && used >= traces) {
      const quota = { name: 'traces', limit: traces, used, retryAfterSeconds: QUOTA_RETRY_SECONDS };
      const detail = `You have ${used} traces, and ${traces} is the limit. Delete one.`;
      return { code: 'too-many-traces', detail, retryable: true, quota };
    }
    if (this.register.size >= this.limits.traces) {
      const detail = 'The server has as many traces on record as it may.';
      return { code: 'too-many-traces', detail, retryable: true };
    }
    return this.refuseBytes(bytes, owner);
  }

  /** Why there may not be so many bytes more, or null. */
  refuseBytes(bytes: number, owner: string): HostProblem | null {
    const { traceBytes } = this.boundsOf(owner);
    const { uploadBytes, storedBytes } = this.limits;
    if (bytes > uploadBytes) return tooLarge(uploadBytes);
    const used = this.register.storedOf(owner);
    if (traceBytes > 0 && used + bytes > traceBytes) {
      const quota = { name: 'trace-bytes', limit: traceBytes, used, retryAfterSeconds: QUOTA_RETRY_SECONDS };
      const detail = `Your traces take ${used} bytes of the server's disk, and ${traceBytes} is the limit. Delete one.`;
      return { code: 'too-much-stored', detail, retryable: true, quota };
    }
    if (this.register.storedBytes + bytes <= storedBytes) return null;
    const detail = `Traces of all take as much of the server's disk as they may, ${storedBytes} bytes together.`;
    return { code: 'storage-full', detail, retryable: true };
  }

  /** Why nothing may be written, whatever the bounds say, or null. */
  async refuseDisk(): Promise<HostProblem | null> {
    const { bavail, bsize } = await statfs(this.folder);
    if (bavail * bsize >= this.limits.reserveBytes) return null;
    return { code: 'storage-full', detail: 'The disk of the server is nearly full.', retryable: true };
  }

  /** Bytes for a tape, beside all that is there. */
  forTape(owner: string): number {
    const { traceBytes } = this.boundsOf(owner);
    const own = traceBytes === 0 ? Number.POSITIVE_INFINITY : traceBytes - this.register.storedOf(owner);
    return Math.max(0, Math.min(own, this.limits.storedBytes - this.register.storedBytes));
  }
}
