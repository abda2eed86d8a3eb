/**
 * Cursors of the list of sessions, sealed. The host's own say how many sessions were made before the last one on the page, those of
 * others included; nobody but the host has to know that.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';

const CIPHER = 'aes-128-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SealedCursors {
  private readonly key: Uint8Array;
  private readonly nonce: () => Uint8Array;

  /** @param key 16 bytes */
  constructor(key: Uint8Array, nonce: (bytes: number) => Uint8Array) {
    this.key = key;
    this.nonce = () => nonce(NONCE_BYTES);
  }

  seal(cursor: string): string {
    const nonce = this.nonce();
    const cipher = createCipheriv(CIPHER, this.key, nonce);
    const sealed = Buffer.concat([cipher.update(cursor, 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** @returns null for what was not sealed here */
  open(text: string): string | null {
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return null;
    const decipher = createDecipheriv(CIPHER, this.key, bytes.subarray(0, NONCE_BYTES));
    decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    try {
      return decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      return null;
    }
  }
}
