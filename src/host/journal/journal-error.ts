/** The file cannot be used as it is; the message says why and where. */
export class JournalError extends Error {}

/** What an error says; of one from SQLite with its extended code, without which "disk I/O error" cannot be told from another. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'errcode' in error ? `${error.message}, SQLite code ${error.errcode}` : error.message;
}
