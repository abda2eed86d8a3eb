/**
 * One operation, as a line of `ops`, as a request of its own and as a line of curl. Pure.
 *
 * Labels are those of `ops`: `as` names a result, `"$a"` is its id, `"$a.iova+4096"` a member of it. A line keeps them, a request has what
 * they stand for.
 */

/** A line of `ops`. */
export interface Operation {
  op: 'tenant' | 'device' | 'buffer' | 'free' | 'map' | 'unmap' | 'dma' | 'invalidate' | 'advance';
  as?: string;
  [member: string]: unknown;
}

export interface StepRequest {
  method: 'POST' | 'DELETE';
  /** Below the session, encoded. */
  path: string;
  body?: Record<string, unknown>;
}

export type Results = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const REFERENCE = /^\$([A-Za-z_][\w-]*)(?:\.(\w+))?(?:\+(\d+))?$/;

/**
 * What a value stands for. Addresses are added to as whole numbers of any length.
 * @throws Error when there is no such result yet
 */
export function resolved(value: unknown, results: Results): unknown {
  if (typeof value !== 'string' || !value.startsWith('$')) return value;
  const found = REFERENCE.exec(value);
  const result = found === null ? undefined : results[found[1] as string];
  if (found === null || result === undefined) throw new Error(`${value}: nothing of that name was done here yet.`);
  const member = result[found[2] ?? 'id'];
  if (found[3] === undefined) return member;
  return `0x${(BigInt(String(member)) + BigInt(found[3])).toString(16)}`;
}

export function resolvedOperation(operation: Operation, results: Results): Operation {
  return Object.fromEntries(
    Object.entries(operation).map(([name, value]) => [name, name === 'as' ? value : resolved(value, results)]),
  ) as Operation;
}

/** @param operation without labels; members that are empty text are left out */
export function requestOf(operation: Operation): StepRequest {
  const { op, as: _as, ...given } = operation;
  const members = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== '' && value !== undefined));
  const without = (...names: string[]) =>
    Object.fromEntries(Object.entries(members).filter(([name]) => !names.includes(name)));
  const part = (name: string) => encodeURIComponent(String(members[name] ?? ''));
  switch (op) {
    case 'tenant':
    case 'device':
    case 'buffer':
      return { method: 'POST', path: `/${op}s`, body: members };
    case 'free':
      return { method: 'DELETE', path: `/buffers/${part('buffer')}${members.force === true ? '?force=true' : ''}` };
    case 'map':
      return { method: 'POST', path: `/devices/${part('device')}/mappings`, body: without('device') };
    case 'unmap':
      return {
        method: 'DELETE',
        path: `/devices/${part('device')}/mappings/${part('mapping')}${members.cpu ? `?cpu=${part('cpu')}` : ''}`,
      };
    case 'dma':
      return { method: 'POST', path: `/devices/${part('device')}/dma`, body: without('device') };
    case 'invalidate':
      return { method: 'POST', path: `/domains/${part('domain')}/invalidate`, body: without('domain') };
    case 'advance':
      return { method: 'POST', path: '/advance', body: members };
  }
}

/** To be pasted into a shell. @param base of the server and the session: `http://127.0.0.1:8080/v1/sessions/lab` */
export function curlOf(base: string, { method, path, body }: StepRequest): string {
  const quoted = (text: string) => `'${text.replace(/'/g, `'\\''`)}'`;
  const parts = ['curl -s', ...(method === 'POST' ? [] : [`-X ${method}`]), quoted(base + path)];
  if (body !== undefined) parts.push(`-H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`);
  return parts.join(' ');
}

/** As the server takes it, one line; `ops` finds the device of a mapping itself. */
export function lineOf(operation: Operation): string {
  const members = Object.entries(operation).filter(
    ([name, value]) => value !== '' && value !== undefined && !(operation.op === 'unmap' && name === 'device'),
  );
  return JSON.stringify(Object.fromEntries(members));
}

/** What labels stand for, short enough for a link: `m:map_0_0@0xfffff000,b:buf_0`. */
export function labelsText(results: Results): string {
  return Object.entries(results)
    .map(([label, { id, iova }]) => `${label}:${String(id ?? '')}${iova === undefined ? '' : `@${String(iova)}`}`)
    .join(',');
}

export function labelsOf(text: string | undefined): Record<string, Record<string, unknown>> {
  const out: Record<string, Record<string, unknown>> = {};
  for (const [, label, id, iova] of (text ?? '').matchAll(/([A-Za-z_]\w*):(\w+)(?:@(0x[0-9a-f]{1,16}))?/g))
    out[label as string] = { id, ...(iova !== undefined && { iova }) };
  return out;
}
