/** Pages of lists: what the query may ask for, and the `Link` header that leads on (RFC 8288). */

export interface PageQuery {
  limit?: number;
  cursor?: string;
}

/** `limit` and `cursor` of a query that the contract has checked; without the members that were not given. */
export function pageOf(query: PageQuery): PageQuery {
  return {
    ...(query.limit === undefined ? {} : { limit: query.limit }),
    ...(query.cursor === undefined ? {} : { cursor: query.cursor }),
  };
}

/**
 * The value of `Link`.
 *
 * @param url path and query of this request
 */
export function nextLink(url: string, nextCursor: string): string {
  const [path, query = ''] = url.split('?', 2) as [string, string?];
  const parameters = new URLSearchParams(query);
  parameters.set('cursor', nextCursor);
  return `<${path}?${parameters}>; rel="next"`;
}
