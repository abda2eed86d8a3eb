/** The generated part of `clients/python/iommu_lab.py`: a method for each operation, between the marks that the file has for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractSchema, packageRoot, type Schema } from '../../src/api/contract.ts';
import { BY_HAND, type ClientOperation, clientOperations, isText, type Parameter } from './operations.ts';

const FILE = 'clients/python/iommu_lab.py';
const WIDTH = 130;

/** Parameters of every method, which nothing of the contract may have the name of. */
const OPTION_NAMES = new Set([
  'call_options',

  'self',
  'body',
  'accept',
  'content_type',
  'idempotency_key',
  'timeout',
  'retries',
  'headers',
]);

/** Words of the language, which cannot be keywords of a call. */
const RESERVED = new Set([
  'for',
  'from',
  'in',
  'is',
  'class',
  'def',
  'global',
  'import',
  'lambda',
  'pass',
  'with',
  'if',
]);

export const pythonName = (operationId: string): string =>
  operationId.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const keyword = (name: string): string => (RESERVED.has(name) ? `${name}_` : name);

export function pythonFiles(): Record<string, string> {
  const operations = clientOperations().filter(({ id }) => !BY_HAND.has(id));
  const text = readFileSync(join(packageRoot, FILE), 'utf8');
  const methods = operations.map(method).join('\n\n');
  const pages = operations
    .filter(({ page }) => page !== null)
    .map(({ id, page }) => `    "${pythonName(id)}": "${page!.member}",\n`)
    .join('');
  return {
    [FILE]: filled(
      filled(text, 'operations', `${methods}\n`),
      'pages',
      `#: Where a page has its items.\n_PAGES: Dict[str, str] = {\n${pages}}\n`,
    ),
  };
}

function filled(text: string, name: string, content: string): string {
  const mark = new RegExp(`( *)# generated: ${name}\\n[\\s\\S]*?\\1# end\\n`);
  if (!mark.test(text)) throw new Error(`${FILE} has no place for generated ${name}`);
  return text.replace(mark, (_, indent: string) => `${indent}# generated: ${name}\n${content}${indent}# end\n`);
}

/** Members of a body as keywords; null where they depend on its kind, and any are taken. */
function membersOf(schema: Schema): [string, Schema][] | null {
  const properties = schema.properties as Record<string, Schema> | undefined;
  return properties === undefined ? null : Object.entries(properties);
}

function typeOf({ type, enum: choices }: Schema): string {
  if (choices !== undefined) return 'str';
  const names = (Array.isArray(type) ? type : [type]).map((each) => {
    switch (each) {
      case 'string':
        return 'str';
      case 'integer':
        return 'int';
      case 'number':
        return 'float';
      case 'boolean':
        return 'bool';
      case 'array':
        return 'Sequence[Any]';
      case 'object':
        return 'Mapping[str, Any]';
      case 'null':
        return 'None';
      default:
        return 'Any';
    }
  });
  if (names.includes('Any')) return 'Any';
  return names.length === 1 ? names[0]! : `Union[${names.join(', ')}]`;
}

const resolvedType = ({ schema }: Parameter): string => {
  const reference = (schema as { $ref?: string }).$ref;
  return typeOf(reference === undefined ? schema : contractSchema(reference.slice(reference.lastIndexOf('/') + 1)));
};

function method(operation: ClientOperation): string {
  const { id, pathParameters, query, body, replies, keyed } = operation;
  const schema = body === null || body.schema === null ? null : contractSchema(body.schema);
  const members = schema === null ? [] : membersOf(schema);
  const names = [...query.map(({ name }) => name), ...(members ?? []).map(([name]) => name)];
  for (const [i, name] of names.entries())
    if (OPTION_NAMES.has(name) || names.indexOf(name) !== i || pathParameters.some((each) => each.name === name))
      throw new Error(`${id}: ${name} would be two parameters`);
  const isJson = replies.every(({ schema: reply }) => reply !== null);
  const forms = replies.filter(({ status }) => status === replies[0]!.status);
  const result = isJson ? 'JsonObject' : forms.length === 1 && isText(forms[0]!.media) ? 'str' : 'Any';

  const parameters = [
    'self',
    ...pathParameters.map(({ name }) => `${keyword(name)}: str`),
    ...(body === null
      ? []
      : [schema === null ? `body: bytes${body.required ? '' : ' = b""'}` : `body: Optional[Mapping[str, Any]] = None`]),
    '*',
    ...query.map((each) => `${keyword(each.name)}: ${resolvedType(each)}${each.required ? '' : ' = UNSET'}`),
    ...(members ?? []).map(([name, each]) => `${keyword(name)}: ${typeOf(each)} = UNSET`),
    ...(forms.length > 1 ? [`accept: str = "${forms[0]!.media}"`] : []),
    ...(body !== null && schema === null ? [`content_type: str = "${body.media[0]}"`] : []),
    ...(members === null
      ? [
          'idempotency_key: Optional[str] = None',
          'timeout: Optional[float] = None',
          'retries: Optional[int] = None',
          'headers: Optional[Mapping[str, str]] = None',
          '**members: Any',
        ]
      : ['**call_options: Any']),
  ].filter((each, i, all) => each !== '*' || !all[i + 1]!.startsWith('**'));
  const given = (all: string[]): string => filledDict(all.map((name) => `"${name}": ${keyword(name)}`));
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name) => `{_quoted(${keyword(name)})}`);
  const quoted = path === operation.path ? `"${path}"` : `f"${path}"`;
  const args = [
    `"${operation.method}"`,
    quoted,
    ...(query.length === 0 ? [] : [`query=${given(query.map(({ name }) => name))}`]),
    ...(body === null
      ? []
      : [
          schema === null
            ? 'body=body'
            : `body=_body_of(body, ${members === null ? 'members' : given(members.map(([name]) => name))})`,
        ]),
    ...(forms.length > 1
      ? ['accept=accept']
      : forms[0]?.media === 'application/json' || forms[0]?.media === ''
        ? []
        : [`accept="${forms[0]!.media}"`]),
    ...(body !== null && schema === null ? ['content_type=content_type'] : []),
    ...(keyed ? ['keyed=True'] : []),
    ...(members === null
      ? ['idempotency_key=idempotency_key', 'timeout=timeout', 'retries=retries', 'headers=headers']
      : ['**call_options']),
  ];
  return [
    fitted(`    def ${pythonName(id)}(`, parameters, `) -> ${result}:`),
    docstring(operation, members),
    fitted('        return self.call(', args, ')'),
  ].join('\n');
}

/** On one line where it fits, else one a line, as the formatters of Python have it. */
function fitted(open: string, parts: string[], close: string): string {
  const line = open + parts.join(', ') + close;
  if (line.length <= WIDTH && !line.includes('\n')) return line;
  const indent = ' '.repeat(open.search(/\S/));
  return [open, ...parts.map((part) => `${indent}    ${part},`), `${indent}${close}`].join('\n');
}

/** On as many lines as it takes, at the depth of an argument. */
function filledDict(items: string[]): string {
  const lines: string[] = [];
  let line = '';
  for (const item of items) {
    if (line !== '' && line.length + item.length > WIDTH - 24) {
      lines.push(line);
      line = '';
    }
    line += `${line === '' ? '' : ' '}${item},`;
  }
  if (lines.length === 0) return `{${line.replace(/,$/, '')}}`;
  return `{\n${[...lines, line].map((each) => `${' '.repeat(16)}${each}\n`).join('')}${' '.repeat(12)}}`;
}

function docstring(operation: ClientOperation, members: [string, Schema][] | null): string {
  const { summary, method: verb, path, query, replies } = operation;
  const indent = ' '.repeat(8);
  const lines = [`${summary}: \`${verb} ${path}\`.`];
  const told: [string, string][] = [
    ...operation.pathParameters.map(({ name, description }): [string, string] => [keyword(name), description]),
    ...query.map(({ name, description }): [string, string] => [keyword(name), description]),
    ...(members ?? []).map(([name, schema]): [string, string] => [keyword(name), String(schema.description ?? '')]),
  ];
  const forms = replies.filter(({ status }) => status === replies[0]!.status);
  if (forms.length > 1) told.push(['accept', `What to answer: ${forms.map(({ media }) => media).join(', ')}.`]);
  const said = told.filter(([, text]) => text !== '');
  if (said.length > 0) lines.push('');
  for (const [name, text] of said) lines.push(`${name}: ${firstSentence(text)}`);
  const body = lines.flatMap((line) => wrapped(line.replaceAll('\\', '\\\\').replaceAll('"""', "'''"), WIDTH - 12));
  const [first, ...rest] = body;
  if (rest.length === 0) return `${indent}"""${first}"""`;
  return [`${indent}"""${first}`, ...rest.map((line) => (line === '' ? '' : indent + line)), `${indent}"""`].join('\n');
}

/** Enough to remember by; `/docs` and the contract have the rest. */
function firstSentence(text: string): string {
  const flat = text.replaceAll(/\s+/g, ' ').trim();
  const end = /[.;](?= [A-Z`])/.exec(flat);
  return end === null ? flat : flat.slice(0, end.index + 1);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `    ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
