/** The file cannot be used as it is; the message says why and where. */
export class JournalError extends Error {}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
