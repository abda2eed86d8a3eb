/**
 * The seal on the state of a snapshot that leaves the server: a state is taken from a document only where the seal is this server's own,
 * or that of one with the same key. Without one, all that the document records is done again instead.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const KEY_BYTES = 32;

export class SnapshotSeal {
  private readonly key: Uint8Array;

  /** @param path file of the key; made when it is not there */
  constructor(path: string) {
    this.key = keyAt(path);
  }

  /** @param state packed, as it was before it was compressed */
  of(state: Uint8Array): string {
    return createHmac('sha256', this.key).update(state).digest('hex');
  }

  fits(state: Uint8Array, seal: string): boolean {
    const stated = Buffer.from(seal, 'hex');
    const own = Buffer.from(this.of(state), 'hex');
    return stated.length === own.length && timingSafeEqual(stated, own);
  }
}

function keyAt(path: string): Uint8Array {
  try {
    writeFileSync(path, randomBytes(KEY_BYTES), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const key = readFileSync(path);
  if (key.length !== KEY_BYTES)
    throw new Error(`${path} is no key: it has ${key.length} bytes instead of ${KEY_BYTES}.`);
  return key;
}
