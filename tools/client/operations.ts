/**
 * The operations of the contract as a client sees them: what each needs in its path, its query and its body, and what comes back.
 * Both clients are generated from this.
 */
import { contractDocument } from '../../src/api/contract.ts';

export type Json = Record<string, unknown>;

export interface Parameter {
  name: string;
  description: string;
  required: boolean;
  schema: Json;
}

export interface Reply {
  status: number;
  /** Empty when there is no body. */
  media: string;
  /** Name of a schema; null for what is text or bytes. */
  schema: string | null;
}

export interface Body {
  /** The first is what is sent unless the caller says otherwise. */
  media: string[];
  /** Name of a schema; null for what is text or bytes. */
  schema: string | null;
  required: boolean;
}

export interface ClientOperation {
  id: string;
  method: string;
  path: string;
  tag: string;
  summary: string;
  description: string;
  pathParameters: Parameter[];
  query: Parameter[];
  /** Whether it takes an `Idempotency-Key`. */
  keyed: boolean;
  body: Body | null;
  replies: Reply[];
  /** Name of the array that a page holds, and of the schema of its items where they have one; null for what is no list. */
  page: { member: string; item: string | null } | null;
}

/** What no generated method can do: lines in and out, a WebSocket, a stream of events. Written by hand in both clients. */
export const BY_HAND: ReadonlySet<string> = new Set(['applyOperations', 'openStream']);

const METHODS = ['get', 'head', 'put', 'post', 'patch', 'delete'];
const SCHEMAS = '#/components/schemas/';

function atReference(reference: string): Json {
  let here: unknown = contractDocument;
  for (const step of reference.slice(2).split('/')) here = (here as Json)[step];
  return here as Json;
}

/** Follows a reference, once; the schemas of components are left as they are. */
function followed(node: unknown): Json {
  const reference = (node as { $ref?: unknown }).$ref;
  return typeof reference === 'string' ? atReference(reference) : (node as Json);
}

function schemaName(schema: unknown): string | null {
  const reference = (schema as { $ref?: unknown } | undefined)?.$ref;
  return typeof reference === 'string' && reference.startsWith(SCHEMAS) ? reference.slice(SCHEMAS.length) : null;
}

function parameterOf(node: unknown): Parameter & { in: string } {
  const { name, in: place, description = '', required = false, schema } = followed(node);
  return {
    name: String(name),
    in: String(place),
    description: String(description),
    required: required === true,
    schema: schema as Json,
  };
}

function bodyOf(operation: Json): Body | null {
  if (operation.requestBody === undefined) return null;
  const { content, required = false } = followed(operation.requestBody) as { content: Json; required?: boolean };
  const media = Object.keys(content);
  const json = content['application/json'] as { schema?: Json } | undefined;
  const schema = schemaName(json?.schema);
  if (json?.schema !== undefined && schema === null)
    throw new Error(`${operation.operationId}: its body is no named schema`);
  return { media: schema === null ? media : ['application/json'], schema, required };
}

function repliesOf(operation: Json): Reply[] {
  return Object.entries(operation.responses as Json).flatMap(([status, node]): Reply[] => {
    const code = Number(status);
    // A redirect is followed, a switch of protocols is no reply.
    if (!(code >= 200 && code < 300)) return [];
    const { content } = followed(node) as { content?: Json };
    const bodies = Object.entries(content ?? {});
    if (bodies.length === 0) return [{ status: code, media: '', schema: null }];
    return bodies.map(([media, body]) => ({
      status: code,
      media,
      schema: schemaName((body as { schema?: Json }).schema),
    }));
  });
}

function pageOf(query: Parameter[], replies: Reply[]): ClientOperation['page'] {
  if (!query.some(({ name }) => name === 'cursor')) return null;
  const schema = replies[0]?.schema;
  if (schema == null) return null;
  const { properties } = atReference(SCHEMAS + schema) as { properties: Record<string, Json> };
  if (properties.nextCursor === undefined) return null;
  const arrays = Object.entries(properties).filter(([, { type }]) => type === 'array');
  const items = arrays.find(([name]) => name === 'items') ?? (arrays.length === 1 ? arrays[0] : undefined);
  if (items === undefined) return null;
  return { member: items[0], item: schemaName(items[1].items) };
}

export function clientOperations(): ClientOperation[] {
  const paths = contractDocument.paths as Record<string, Record<string, Json>>;
  return Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => {
      const operation = item[method]!;
      const shared = (item.parameters as unknown as unknown[] | undefined) ?? [];
      const own = (operation.parameters as unknown[] | undefined) ?? [];
      const parameters = [...shared, ...own].map(parameterOf);
      const query = parameters.filter((each) => each.in === 'query');
      const replies = repliesOf(operation);
      const pathParameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => {
        const found = parameters.find((each) => each.in === 'path' && each.name === name);
        if (found === undefined) throw new Error(`${path}: ${name} is not described`);
        return found;
      });
      return {
        id: String(operation.operationId),
        method: method.toUpperCase(),
        path,
        tag: String((operation.tags as string[])[0]),
        summary: String(operation.summary),
        description: String(operation.description ?? ''),
        pathParameters,
        query,
        keyed: parameters.some(({ name }) => name === 'Idempotency-Key'),
        body: bodyOf(operation),
        replies,
        page: pageOf(query, replies),
      };
    }),
  );
}

/** `format` says in the query what `Accept` says in a header; where both would do, the header does. */
export function ownQuery({ query, replies }: ClientOperation): Parameter[] {
  return replies.length > 1 && replies.every(({ status }) => status === replies[0]!.status)
    ? query.filter(({ name }) => name !== 'format')
    : query;
}

export const isText = (media: string): boolean =>
  /^text\/|^application\/(yaml|openmetrics-text|x-ndjson|jsonl)/.test(media);

export { schemaName };
