/** Lines of a reply, while it arrives. */
import { platform, type ReaderLike } from './platform.ts';
import type { Opened } from './transport.ts';

/** Lines of text out of chunks of bytes. An end in the middle of one is a reply that was cut. */
export async function* linesOf(reader: ReaderLike, opened: Opened): AsyncGenerator<string, void, undefined> {
  const decoder = new platform.TextDecoder();
  let rest = '';
  for (;;) {
    let next: Awaited<ReturnType<ReaderLike['read']>>;
    try {
      next = await reader.read();
    } catch (error) {
      throw opened.failure(error);
    }
    const { done, value } = next;
    if (done) break;
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line;
  }
  if (rest !== '') throw opened.failure(new Error('the last line has no end'));
}
