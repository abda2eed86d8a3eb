/** What clients may say, and why a message is none. */
import type { Reason } from '../api/problem.ts';
import { Validators } from '../api/validator.ts';
import { CborError, decodeCbor } from './cbor.ts';
import { streamSchema } from './contract.ts';
import type { Topic } from './topics.ts';
import type { MessageForm } from './transport.ts';

export interface Subscribe {
  type: 'subscribe';
  topics: Topic[];
  everyMs?: number;
  epoch?: string;
  fromSequence?: number;
}

export interface Unsubscribe {
  type: 'unsubscribe';
  topics?: Topic[];
}

export type ClientMessage = Subscribe | Unsubscribe | { type: 'ping' };

export type Parsed = { ok: true; message: ClientMessage } | { ok: false; reason: Reason };

/** In milliseconds, when the client does not say: as often as metrics are recorded. */
export const DEFAULT_EVERY_MS = 100;

const validate = new Validators(false).compileLater(() => ({
  type: 'object',
  discriminator: { propertyName: 'type' },
  oneOf: ['Subscribe', 'Unsubscribe', 'Ping'].map(streamSchema),
}));
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** @param data one whole message, already known to be UTF-8 when it is text */
export function parseMessage(data: Buffer, form: MessageForm): Parsed {
  if (form === 'unexpected') return bad('Messages are JSON text; this one is binary.');
  let message: unknown;
  try {
    message = form === 'cbor' ? decodeCbor(data) : JSON.parse(decoder.decode(data));
  } catch (error) {
    const { message: why } = error as Error;
    return bad(error instanceof CborError ? `The message is not CBOR: ${why}.` : `The message is not JSON: ${why}.`);
  }
  const violations = validate(message);
  if (violations === null) return { ok: true, message: message as ClientMessage };
  const first = violations[0]!;
  const all = violations.map(({ path, message: why }) => (why.startsWith('unknown') ? why : `${path || 'it'} ${why}`));
  return {
    ok: false,
    reason: { code: 'invalid-message', detail: all.join('; '), path: first.path, errors: violations },
  };
}

function bad(detail: string): Parsed {
  return { ok: false, reason: { code: 'invalid-message', detail } };
}
