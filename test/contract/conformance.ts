/**
 * Checks replies against the contract: the status is listed, its content type is listed, the body fits the schema. For `ops` every
 * line is checked. Built on Ajv 2020, the dialect of OpenAPI 3.1, and not on the validators that the server uses.
 */
import assert from 'node:assert/strict';
import { formatWithOptions } from 'node:util';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { type ContractOperation, contractOperations } from '../../src/api/contract.ts';

const addFormats = addFormatsModule as unknown as (ajv: Ajv2020) => Ajv2020;

export interface SeenReply {
  method: string;
  /** Path and query as requested. */
  url: string;
  status: number;
  contentType: string | null;
  body: string;
  headers: Record<string, unknown>;
}

interface MediaType {
  schema?: Record<string, unknown>;
  'x-line-schema'?: Record<string, unknown>;
}
interface ResponseObject {
  content?: Record<string, MediaType>;
  headers?: Record<string, { required?: boolean }>;
}

const ajv = addFormats(
  new Ajv2020({ strict: false, allErrors: true, discriminator: true, logger: false, code: { optimize: false } }),
);
const known = new WeakMap<object, ValidateFunction>();
/** By their text: with the references replaced, each operation has copies of its own of what many answer with. */
const compiled = new Map<string, ValidateFunction>();

function validatorOf(schema: Record<string, unknown>): ValidateFunction {
  let validate = known.get(schema);
  if (validate !== undefined) return validate;
  const text = JSON.stringify(schema);
  validate = compiled.get(text);
  if (validate === undefined) compiled.set(text, (validate = ajv.compile(schema)));
  known.set(schema, validate);
  return validate;
}

function operationAt(method: string, path: string): ContractOperation | undefined {
  const steps = path.split('/');
  return contractOperations.find((operation) => {
    if (operation.method !== method) return false;
    const pattern = operation.path.split('/');
    return (
      pattern.length === steps.length &&
      pattern.every((step, i) => (step.startsWith('{') ? steps[i] !== '' : step === steps[i]))
    );
  });
}

/** Throws an AssertionError that says what does not fit. */
export function checkReply(reply: SeenReply): void {
  const method = reply.method.toLowerCase();
  const path = (reply.url.split('?', 1)[0] as string) || '/';
  const where = `${reply.method} ${reply.url} answered ${reply.status}`;
  const operation = operationAt(method === 'head' ? 'get' : method, path);
  if (operation === undefined) {
    // A path or method that the contract does not have: refused, and with a problem.
    assert.ok(
      [400, 401, 403, 404, 405, 429].includes(reply.status),
      `${where}, but the contract has no such operation`,
    );
    checkBody(where, 'application/problem+json', problemContent(), reply);
    if (reply.status === 405) assert.ok(reply.headers.allow, `${where} without Allow`);
    return;
  }
  const responses = operation.definition.responses as Record<string, ResponseObject>;
  const listed = responses[String(reply.status)] ?? (reply.status >= 400 ? responses.default : undefined);
  assert.ok(listed, `${where}, which ${operation.operationId} does not list`);
  for (const [name, header] of Object.entries(listed.headers ?? {})) {
    if (header.required) assert.ok(reply.headers[name.toLowerCase()], `${where} without the header ${name}`);
  }
  if (method === 'head') return;
  if (listed.content === undefined) {
    if (reply.status < 300) assert.equal(reply.body, '', `${where} with a body, which the contract does not have`);
    return;
  }
  const type = (reply.contentType ?? '').split(';', 1)[0]?.trim() ?? '';
  const media = listed.content[type];
  assert.ok(media, `${where} as "${type}"; listed are ${Object.keys(listed.content).join(', ')}`);
  checkBody(where, type, media, reply);
}

function problemContent(): MediaType {
  const any = contractOperations[0]?.definition.responses as Record<string, ResponseObject>;
  return any.default?.content?.['application/problem+json'] as MediaType;
}

function checkBody(where: string, type: string, media: MediaType, reply: SeenReply): void {
  const lineSchema = media['x-line-schema'];
  if (lineSchema !== undefined) {
    for (const line of reply.body.split('\n')) {
      if (line.trim() !== '') checkValue(`${where}, line ${line.slice(0, 200)}`, lineSchema, JSON.parse(line));
    }
  } else if (media.schema !== undefined && type.endsWith('json')) {
    checkValue(where, media.schema, JSON.parse(reply.body));
  }
  if (type === 'application/problem+json') {
    assert.equal(JSON.parse(reply.body).status, reply.status, `${where}, but its problem has another status`);
  }
}

function checkValue(where: string, schema: Record<string, unknown>, value: unknown): void {
  const validate = validatorOf(schema);
  if (validate(value)) return;
  const reasons = (validate.errors ?? []).map(
    (error) => `${error.instancePath || '/'} ${error.message} ${JSON.stringify(error.params)}`,
  );
  assert.fail(
    `${where}, which does not fit the contract:\n${reasons.join('\n')}\n${formatWithOptions({ depth: 6 }, value)}`,
  );
}

export type CheckedInject = (options: InjectOptions) => Promise<LightMyRequestResponse>;

/** `app.inject` whose every reply is checked. */
export function checkedInject(app: FastifyInstance): CheckedInject {
  return async (options) => {
    const response = await app.inject(options);
    checkReply({
      method: options.method ?? 'GET',
      url: String(options.url),
      status: response.statusCode,
      contentType: (response.headers['content-type'] as string | undefined) ?? null,
      body: response.body,
      headers: response.headers,
    });
    return response;
  };
}

/** `fetch` whose every reply is checked; the reply can still be read. */
export async function checkedFetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(url, init);
  const { pathname, search } = new URL(url);
  checkReply({
    method: init.method ?? 'GET',
    url: pathname + search,
    status: response.status,
    contentType: response.headers.get('content-type'),
    body: await response.clone().text(),
    headers: Object.fromEntries(response.headers),
  });
  return response;
}
