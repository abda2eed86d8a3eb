/** Cursors of lists in creation order: opaque to clients, inside the number of the last item of the page before. */

export const DEFAULT_PAGE = 100;
export const LARGEST_PAGE = 1000;

export function encodeCursor(lastNumber: number): string {
  return Buffer.from(`after:${lastNumber}`).toString('base64url');
}

/** The number after which the page starts: 0 without a cursor, null when the cursor is not one of ours. */
export function decodeCursor(cursor: string | undefined): number | null {
  if (cursor === undefined) return 0;
  const match = /^after:([0-9]{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1'));
  return match === null ? null : Number(match[1]);
}

/** Clamped, not refused: the contract has checked the limit of a request before. */
export function pageLimit(limit: number | undefined): number {
  return Math.min(Math.max(limit ?? DEFAULT_PAGE, 1), LARGEST_PAGE);
}
