/** The generated part of `clients/typescript`: types of the contract and of the stream, and a method for each operation. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { contractDocument, packageRoot } from '../../src/api/contract.ts';
import { ERRORS } from '../../src/api/errors.ts';
import { type Node, typesOf } from '../contract/types.ts';
import {
  BY_HAND,
  type ClientOperation,
  clientOperations,
  isText,
  ownQuery,
  type Parameter,
  schemaName,
} from './operations.ts';

const FOLDER = 'clients/typescript/src/generated';
const GENERATED = 'do not edit: `npm run client` writes it.';

/** Members of `CallOptions`: no parameter of a query may have the name of one. */
const OPTION_NAMES = new Set(['signal', 'timeoutMs', 'retries', 'idempotencyKey', 'headers', 'accept', 'contentType']);

/** File to text. */
export async function typescriptFiles(): Promise<Record<string, string>> {
  const { schemas } = contractDocument.components as { schemas: Record<string, Node> };
  const types = await typesOf(schemas, `/**\n * Types of the contract, from openapi.yaml; ${GENERATED}\n */`);
  return {
    [`${FOLDER}/types.ts`]: types,
    [`${FOLDER}/stream-messages.ts`]: await streamMessages(),
    [`${FOLDER}/problem-codes.ts`]: problemCodes(),
    [`${FOLDER}/operations.ts`]: operationsFile(),
  };
}

/** `Error` is a name that JavaScript has given away. */
const RENAMED: Record<string, string> = { Error: 'ErrorMessage' };

async function streamMessages(): Promise<string> {
  const document = parse(readFileSync(join(packageRoot, 'asyncapi.yaml'), 'utf8')) as {
    components: { schemas: Record<string, Node> };
  };
  const used = new Set<string>();
  const local = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(local);
    if (node === null || typeof node !== 'object') return node;
    const reference = (node as Node).$ref;
    if (typeof reference === 'string') {
      const name = reference.slice(reference.lastIndexOf('/') + 1);
      if (reference.startsWith('#/')) return { $ref: `#/components/schemas/${RENAMED[name] ?? name}` };
      used.add(name);
      return { tsType: name };
    }
    return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, local(value)]));
  };
  const schemas = Object.fromEntries(
    Object.entries(document.components.schemas).map(([name, schema]) => [RENAMED[name] ?? name, local(schema) as Node]),
  );
  const banner = `/**\n * Messages of the stream, from asyncapi.yaml; ${GENERATED}\n */\nimport type { ${[...used].sort().join(', ')} } from './types.ts';`;
  return typesOf(schemas, banner);
}

function problemCodes(): string {
  const codes = Object.keys(ERRORS).sort();
  return `/**
 * Codes of problems that a server of this version has; a later one may have more. From the server's list; ${GENERATED}
 */
export type ProblemCode =
${codes.map((code) => `  | '${code}'`).join('\n')}
  | (string & {});
`;
}

function operationsFile(): string {
  const operations = clientOperations().filter(({ id }) => !BY_HAND.has(id));
  const used = new Set<string>();
  const methods = operations.map((operation) => method(operation, used));
  return `/**
 * Every operation of the contract as a method, from openapi.yaml; ${GENERATED}
 */
import type { Call, CallOptions${methods.some((text) => text.includes(': Upload')) ? ', Upload' : ''} } from '../call.ts';
import type { Pages } from '../pages.ts';
import type {
${[...used]
  .sort()
  .map((name) => `  ${name},`)
  .join('\n')}
} from './types.ts';

/** Path parameters come first and in their order, then the body, then query and options together. */
export abstract class Operations {
  /** Sends a request and answers what came back, read as its type says. */
  protected abstract send<T>(call: Call, options?: CallOptions): Promise<T>;

  /** The same for a list: one page when awaited, all items when iterated over. */
  protected abstract list<Page, Item>(call: Call, options?: CallOptions): Pages<Page, Item>;

${methods.join('\n\n')}
}
`;
}

function method(operation: ClientOperation, used: Set<string>): string {
  const { id, pathParameters, body, replies, page } = operation;
  const query = ownQuery(operation);
  for (const { name } of query)
    if (OPTION_NAMES.has(name)) throw new Error(`${id}: ${name} is a name of the client's options`);
  const named = (name: string): string => {
    used.add(name);
    return name;
  };
  const leading = [
    ...pathParameters.map(({ name, schema }) => `${name}: ${typeOf(schema, named)}`),
    ...(body === null
      ? []
      : [`body${body.required ? '' : '?'}: ${body.schema === null ? 'Upload' : named(body.schema)}`]),
  ];
  const members = query.map(
    (parameter) => `${parameter.name}${parameter.required ? '' : '?'}: ${typeOf(parameter.schema, named)}`,
  );
  if (body !== null && body.schema === null)
    members.push(`contentType?: ${body.media.map((media) => `'${media}'`).join(' | ')}`);
  const optional = query.every(({ required }) => !required);

  const replyType = (media: string, schema: string | null): string => {
    if (schema !== null) return named(schema);
    if (media === '') return 'void';
    return isText(media) ? 'string' : 'Uint8Array';
  };
  const optionsOf = (extra: string[]): string => {
    const all = [...members, ...extra];
    return all.length === 0 ? 'CallOptions' : `CallOptions & { ${all.join('; ')} }`;
  };
  const signature = (options: string, must: boolean, result: string): string =>
    `${id}(${[...leading, `options${must ? '' : '?'}: ${options}`].join(', ')}): ${result}`;

  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name) => `\${encodeURIComponent(${name})}`);
  const call = [
    `method: '${operation.method}'`,
    `path: \`${path}\``,
    ...(query.length === 0 ? [] : [`query: [${query.map(({ name }) => `'${name}'`).join(', ')}]`]),
    ...(operation.keyed ? ['keyed: true'] : []),
    ...(body === null ? [] : ['body']),
    ...(body !== null && body.schema === null ? [`bodyType: '${body.media[0]}'`] : []),
    ...(replies[0]?.media === 'application/json' ? [] : [`accept: '${replies[0]?.media ?? ''}'`]),
  ];
  const literal = `{ ${call.join(', ')} }`.replaceAll('`', '`');
  const quoted = path.includes('${') ? literal : literal.replace(/`([^`]*)`/, "'$1'");

  const head = comment(operation, query);
  if (page !== null) {
    const pageType = replyType('application/json', replies[0]!.schema);
    const item = page.item === null ? `${pageType}['${page.member}'][number]` : named(page.item);
    const line = signature(optionsOf([]), !optional, `Pages<${pageType}, ${item}>`);
    return `${head}\n  ${line} {\n    return this.list(${quoted.replace(/ \}$/, `, items: '${page.member}' }`)}, options);\n  }`;
  }

  const statuses = [...new Set(replies.map(({ status }) => status))];
  const mostOf = (result: string, overloads: string[]): string => {
    const implementation = signature(optionsOf([]), !optional, `Promise<${result}>`);
    return [
      head,
      ...overloads.map((each) => `  ${each};`),
      `  ${implementation} {`,
      `    return this.send(${quoted}, options);`,
      '  }',
    ].join('\n');
  };
  if (statuses.length > 1 && query.some(({ name }) => name === 'validateOnly')) {
    const checked = replyType('application/json', replies.find(({ status }) => status === 200)!.schema);
    const made = replyType('application/json', replies.find(({ status }) => status === 201)!.schema);
    if (checked === made) return mostOf(made, []);
    const rest = leading.map((each) => each.replace('body?:', 'body:').replace(/(body: \w+)/, '$1 | undefined'));
    const checking = `${id}(${[...rest, 'options: CallOptions & { validateOnly: true }'].join(', ')}): Promise<${checked}>`;
    return mostOf(`${checked} | ${made}`, [
      checking,
      `${id}(${[...leading, 'options?: CallOptions & { validateOnly?: false }'].join(', ')}): Promise<${made}>`,
      // Where the caller does not know itself.
      signature(optionsOf([]), !optional, `Promise<${checked} | ${made}>`),
    ]);
  }
  const forms = replies.filter(({ status }) => status === replies[0]!.status);
  const types = [...new Set(forms.map(({ media, schema }) => replyType(media, schema)))];
  if (forms.length === 1) return mostOf(types[0]!, []);
  const overloads = types.flatMap((type, i) => {
    const accepts = forms
      .filter(({ media, schema }) => replyType(media, schema) === type)
      .map(({ media }) => `'${media}'`);
    return [
      signature(
        optionsOf([`accept${i === 0 ? '?' : ''}: ${accepts.join(' | ')}`]),
        i > 0 || !optional,
        `Promise<${type}>`,
      ),
    ];
  });
  if (overloads.length === 1) {
    const [only] = overloads;
    return [head, `  ${only} {`, `    return this.send(${quoted}, options);`, '  }'].join('\n');
  }
  return mostOf(types.join(' | '), overloads);
}

function typeOf(schema: Record<string, unknown>, named: (name: string) => string): string {
  const name = schemaName(schema);
  if (name !== null) return named(name);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => `'${value}'`).join(' | ');
  switch (schema.type) {
    case 'integer':
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'string';
    default:
      throw new Error(`no type for ${JSON.stringify(schema)}`);
  }
}

function comment(operation: ClientOperation, query: Parameter[]): string {
  const { summary, method, path, description } = operation;
  const lines = [`${summary}: \`${method} ${path}\`.`];
  if (description !== '') lines.push('', ...description.trim().split('\n'));
  const told = [...operation.pathParameters, ...query].filter((each) => each.description !== '');
  if (told.length > 0) lines.push('');
  for (const each of operation.pathParameters)
    if (each.description !== '') lines.push(`@param ${each.name} ${each.description}`);
  for (const each of query) if (each.description !== '') lines.push(`@param options.${each.name} ${each.description}`);
  return ['  /**', ...lines.map((line) => `   * ${line.replaceAll('*/', '*\\/')}`.trimEnd()), '   */'].join('\n');
}
