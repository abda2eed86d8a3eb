/**
 * Turns operations of the contract into Fastify routes: the handler is that of the `operationId`, the checks are made of the
 * operation's schemas. They are strict: bodies are never coerced and keep unknown members until these are refused by name; the query
 * and the path are text, so they are.
 */
import type { FastifyInstance } from 'fastify';
import { type ContractOperation, resolved, type Schema } from '../src/api/contract.ts';
import { ProblemError, type Violation } from '../src/api/problem.ts';
import { type Validator, Validators } from '../src/api/validator.ts';
import type { Handlers } from './handlers.ts';

interface Parameter {
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  schema: Schema;
}

/** Schemas of a request's parts, as `validatorCompiler` gets them. Headers are checked by who reads them. */
type RequestSchemas = Partial<Record<'params' | 'querystring' | 'body', Schema>>;

/** Registers `operations`; every one must have its handler. `app` is a scope of its own, hooks and parsers already in place. */
export function registerContractRoutes(
  app: FastifyInstance,
  operations: readonly ContractOperation[],
  handlers: Handlers,
): void {
  app.setValidatorCompiler(compilerOf());
  // Replies are what the handlers say. A serializer made from a schema would silently leave out what the schema does not know; that
  // replies fit the contract is checked by the tests instead.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  for (const operation of operations) {
    const { operationId, method, path, written } = operation;
    const handler = handlers[operationId];
    if (handler === undefined) throw new Error(`no handler for the operation ${operationId} of the contract`);
    const largest = written['x-max-body-bytes'] as number | undefined;
    app.route({
      method,
      url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
      schema: requestSchemas(operation),
      handler,
      ...(largest === undefined ? {} : { bodyLimit: largest }),
    });
  }
}

function requestSchemas({ written }: ContractOperation): RequestSchemas {
  const parameters = resolved(written.parameters) as Parameter[];
  const schemas: RequestSchemas = {
    querystring: objectOf(parameters, 'query', false),
  };
  if (parameters.some((parameter) => parameter.in === 'path')) schemas.params = objectOf(parameters, 'path', true);
  const { content } = resolved(written.requestBody ?? {}) as { content?: Record<string, { schema?: Schema }> };
  const body = content?.['application/json']?.schema;
  if (body !== undefined) schemas.body = body;
  return schemas;
}

function objectOf(parameters: readonly Parameter[], place: Parameter['in'], additionalProperties: boolean): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const parameter of parameters) {
    if (parameter.in !== place) continue;
    properties[parameter.name] = parameter.schema;
    if (parameter.required === true) required.push(parameter.name);
  }
  return { type: 'object', properties, required, additionalProperties };
}

type Place = 'body' | 'querystring' | 'params';

const CODES: Readonly<Record<Place, string>> = {
  body: 'invalid-body',
  querystring: 'invalid-query',
  params: 'invalid-path',
};

/** Fastify's `validatorCompiler` over two sets of validators: one coerces, for what arrives as text, one does not. */
function compilerOf() {
  const strict = new Validators(false);
  const coercing = new Validators(true);
  return ({ schema, httpPart }: { schema: unknown; httpPart?: string }) => {
    const place = httpPart as Place;
    const validate: Validator = (place === 'body' ? strict : coercing).compileLater(() => schema as Schema);
    return (data: unknown) => {
      const violations = validate(data);
      return violations === null ? { value: data } : { error: refusal(place, violations) };
    };
  };
}

function refusal(place: Place, violations: readonly Violation[]): ProblemError {
  const errors = place === 'querystring' ? violations.map(ofQuery) : [...violations];
  const detail = errors.map(({ path, message }) =>
    message.startsWith('unknown') ? message : `${path || 'it'} ${message}`,
  );
  return new ProblemError({ code: CODES[place], detail: detail.join('; '), errors });
}

function ofQuery({ path, message }: Violation): Violation {
  return { path: `?${path.slice(1)}`, message: message.replace(/^unknown member/, 'unknown query parameter') };
}
