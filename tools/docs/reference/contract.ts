/** What `openapi.yaml` and `asyncapi.yaml` say, as Markdown: every operation, every schema, every message. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { MEMBER_COLUMNS, memberRows, oneLine, type Schema, type SchemaText, typeText } from '../schema-rows.ts';
import { type Cell, table } from '../table.ts';

interface Parameter {
  $ref?: string;
  name: string;
  in: 'path' | 'query' | 'header';
  required?: boolean;
  description?: string;
  schema: Schema;
}
interface Media {
  schema?: Schema;
  'x-line-schema'?: Schema;
}
interface Body {
  $ref?: string;
  description?: string;
  content?: Record<string, Media>;
}
interface Operation {
  operationId: string;
  summary?: string;
  description?: string;
  tags: string[];
  parameters?: Parameter[];
  requestBody?: Body;
  responses: Record<string, Body>;
}
interface OpenApi {
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, Operation> & { parameters?: Parameter[] }>;
  components: {
    schemas: Record<string, Schema>;
    parameters: Record<string, Parameter>;
    responses: Record<string, Body>;
  };
}
interface AsyncApi {
  operations: Record<string, { title: string; messages: { $ref: string }[] }>;
  components: {
    messages: Record<string, { summary?: string; payload: Schema }>;
    schemas: Record<string, Schema>;
  };
}

const METHODS = ['get', 'head', 'post', 'put', 'patch', 'delete'];

const openapi = (): OpenApi => parse(readFileSync('openapi.yaml', 'utf8'), { maxAliasCount: -1 }) as OpenApi;
const asyncapi = (): AsyncApi => parse(readFileSync('asyncapi.yaml', 'utf8'), { maxAliasCount: -1 }) as AsyncApi;

const lastOf = (ref: string): string => ref.slice(ref.lastIndexOf('/') + 1);

/** Schemas of the contract have a page of their own; `page` is where those are that are named without a file. */
const linksToSchemas = (page: string): SchemaText => ({
  link: (ref) => {
    const to = ref.includes('openapi.yaml') ? 'schemas.md' : page;
    return `[\`${lastOf(ref)}\`](${to}#${lastOf(ref).toLowerCase()})`;
  },
});

/** Every operation by its tag: parameters, bodies, replies. */
export function operationParts(): string {
  const contract = openapi();
  const text = linksToSchemas('schemas.md');
  const all = Object.entries(contract.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item).map((method) => ({
      title: `${method.toUpperCase()} ${path}`,
      operation: item[method]!,
      parameters: [...(item.parameters ?? []), ...(item[method]!.parameters ?? [])],
    })),
  );
  // What the server is asked for seldom comes last.
  const tags = [...contract.tags].sort((a, b) => Number(a.name === 'service') - Number(b.name === 'service'));
  return tags
    .map(({ name, description }) => {
      const own = all.filter(({ operation }) => operation.tags[0] === name);
      const parts = own.map(({ title, operation, parameters }) =>
        [
          `### \`${title}\``,
          [operation.summary, operation.description]
            .filter(Boolean)
            .map((line) => `${line!.trim()}`)
            .join('\n\n'),
          parameterTable(parameters, contract, text),
          bodyLine('Body', operation.requestBody, contract, text),
          replyTable(operation.responses, contract, text),
        ]
          .filter((part) => part !== '')
          .join('\n\n'),
      );
      return [`## ${name}`, description, ...parts].join('\n\n');
    })
    .join('\n\n');
}

function parameterTable(parameters: Parameter[], contract: OpenApi, text: SchemaText): string {
  if (parameters.length === 0) return '';
  const rows = parameters.map((given) => {
    const parameter = given.$ref === undefined ? given : contract.components.parameters[lastOf(given.$ref)]!;
    const { name, schema, required, description } = parameter;
    const preset = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``;
    return [
      `\`${name}\``,
      parameter.in,
      typeText(schema, text),
      required ? 'yes' : '',
      preset,
      oneLine(description ?? ''),
    ];
  });
  return table(['parameter', 'in', 'type', 'must', 'default', 'meaning'], rows);
}

function bodyLine(title: string, given: Body | undefined, contract: OpenApi, text: SchemaText): string {
  if (given === undefined) return '';
  const media = mediaText(resolved(given, contract), text);
  return media === '' ? '' : `${title}: ${media}`;
}

const resolved = (body: Body, contract: OpenApi): Body =>
  body.$ref === undefined ? body : contract.components.responses[lastOf(body.$ref)]!;

function mediaText({ content = {} }: Body, text: SchemaText): string {
  return Object.entries(content)
    .map(([type, media]) => {
      const line = media['x-line-schema'];
      const shape = line === undefined ? typeText(media.schema ?? {}, text) : `lines of ${typeText(line, text)}`;
      return shape === '' ? `\`${type}\`` : `\`${type}\`, ${shape}`;
    })
    .join('; ');
}

/** What is answered; refusals, which are alike everywhere, only by their status. */
function replyTable(responses: Record<string, Body>, contract: OpenApi, text: SchemaText): string {
  const answers = Object.entries(responses).filter(([status]) => Number(status) < 400);
  const rows = answers.map(([status, given]): Cell[] => {
    const body = resolved(given, contract);
    return [status, oneLine(body.description ?? ''), mediaText(body, text)];
  });
  const refusals = Object.keys(responses).filter((status) => Number(status) >= 400);
  const said = refusals.length === 0 ? '' : `\n\nRefusals: ${refusals.join(', ')}.`;
  return table(['status', 'when', 'body'], rows) + said;
}

/** Every schema of the contract, by name. */
export function schemaParts(): string {
  const { schemas } = openapi().components;
  return schemaList(schemas, '##');
}

function schemaList(schemas: Record<string, Schema>, level: string): string {
  const text = linksToSchemas('');
  return Object.entries(schemas)
    .map(([name, schema]) => {
      const rows = memberRows(schema, text);
      const type = rows.length > 0 && schema.oneOf === undefined ? '' : typeText({ ...schema, description: '' }, text);
      return [
        `${level} ${name}`,
        schema.description?.trim() ?? '',
        type === '' ? '' : `Type: ${type}`,
        rows.length === 0 ? '' : table(MEMBER_COLUMNS, rows),
      ]
        .filter((part) => part !== '')
        .join('\n\n');
    })
    .join('\n\n');
}

/** Every message of the stream, by who says it; then what the messages are made of. */
export function messageParts(): string {
  const { operations, components } = asyncapi();
  const text = linksToSchemas('');
  const said = Object.values(operations).map(({ title, messages }) => {
    const rows = messages.map(({ $ref }) => {
      const { summary, payload } = components.messages[lastOf($ref)]!;
      return [`\`${lastOf($ref)}\``, oneLine(summary ?? ''), typeText(payload, text)];
    });
    return `## ${title}\n\n${table(['message', 'meaning', 'shape'], rows)}`;
  });
  return [...said, `## What they are made of\n\n${schemaList(components.schemas, '###')}`].join('\n\n');
}
