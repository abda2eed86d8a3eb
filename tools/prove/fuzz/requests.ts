/**
 * Requests of the contract and around it. Operations, parameters and bodies are read from `openapi.yaml`: an operation that is added
 * there is asked from then on.
 */
import { type ContractOperation, contractOperations, contractSchema, type Schema } from '../../../src/api/contract.ts';
import type { Dice } from '../dice.ts';
import { pick, type Values } from './values.ts';

export interface FuzzRequest {
  method: string;
  target: string;
  headers: [string, string][];
  body: Buffer | null;
  /** The body in chunks of so many bytes; 0: with its length. */
  chunkBytes: number;
  /** The reply has to be one that the contract lists; otherwise it is one to a path or method that may not be in the contract. */
  exact: boolean;
  operation: ContractOperation;
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  schema: Schema;
}
interface Body {
  content: Record<string, { schema?: Schema; 'x-line-schema'?: Schema; examples?: Record<string, { value: unknown }> }>;
}

/** Rare ones: those that end what others work on, and long replies that are the same each time. The others have 20. */
const WEIGHTS: Readonly<Record<string, number>> = {
  deleteSession: 2,
  resetSession: 6,
  renameSession: 4,
  applyOperations: 80,
  startRun: 30,
  rotateToken: 4,
  createToken: 4,
  createSession: 30,
  listSessions: 3,
  getCatalog: 2,
};
const USUAL_WEIGHT = 20;
const DOCUMENT_WEIGHT = 1;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'QUERY'];
const ODD_TYPES = [
  '',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/xml',
  'application/json; charset=utf-16',
  'application/json;;',
  'application/json/json',
  'application/problem+json',
  'APPLICATION/JSON',
  'application/octet-stream',
  '*/*',
  'application/x-ndjson',
  'application/jsonl; charset=latin1',
  'a',
  '\u00e9/\u00e9',
];
const ODD_STEPS = [
  '..',
  '.',
  '%2e%2e',
  '..%2f..%2fetc',
  '%00',
  '%zz',
  '%',
  '%c3%28',
  '%ff',
  '%F0%9F%98%80',
  'a%2fb',
  'a%20b',
  'a+b',
  '__proto__',
  'constructor',
  'null',
  'undefined',
  '-1',
  '*',
  ';',
  ':session',
  '{session}',
  "'",
  '%27%20or%201=1',
  'x'.repeat(128),
  'x'.repeat(129),
  'x'.repeat(513),
  'x'.repeat(4000),
];
const ODD_QUERIES = [
  '',
  '=',
  '&&',
  'a',
  'a=b',
  '__proto__=1',
  '__proto__[a]=1',
  'constructor.prototype.a=1',
  'limit=1&limit=2',
  'limit[]=1',
  'limit=%zz',
  '%00=%00',
  'limit=1e3',
  'limit=0x10',
  'limit= 1',
  'limit=1.0',
  'cursor=',
  'cursor=%00',
  `cursor=${'x'.repeat(600)}`,
  'ticket=x',
  'validateOnly=maybe',
  'onError=',
  'x'.repeat(3000),
];

/** What a fuzz asks with, as the `authorization` header; null: none. */
export type Bearers = (dice: Dice) => string | null;

export class Requests {
  private readonly values: Values;
  private readonly bearer: Bearers;
  private readonly choices: ContractOperation[];
  private readonly lines = contractSchema('OperationLine').oneOf as Schema[];
  /** With a key, not long ago. */
  private readonly keyed: FuzzRequest[] = [];

  constructor(values: Values, bearer: Bearers) {
    this.values = values;
    this.bearer = bearer;
    this.choices = contractOperations.flatMap((operation) => {
      const usual = operation.routed || operation.operationId === 'openStream' ? USUAL_WEIGHT : DOCUMENT_WEIGHT;
      return Array.from({ length: WEIGHTS[operation.operationId] ?? usual }, () => operation);
    });
  }

  /** @param number counts the requests; keys are made of it, so that they come again */
  make(number: number, dice: Dice): FuzzRequest {
    if (this.keyed.length > 0 && dice(100) < 2) return pick(this.keyed, dice);
    const operation = pick(this.choices, dice);
    const { values } = this;
    const parameters = operation.definition.parameters as Parameter[];
    const request: FuzzRequest = {
      method: operation.method.toUpperCase(),
      target: this.path(operation, parameters, dice),
      headers: [['host', 'localhost']],
      body: null,
      chunkBytes: dice(12) === 0 ? 1 + dice(400) : 0,
      exact: true,
      operation,
    };
    const bearer = this.bearer(dice);
    if (bearer !== null) request.headers.push(['authorization', bearer]);
    request.target += this.query(parameters, dice);
    this.giveBody(request, dice);
    if (parameters.some(({ in: place }) => place === 'header') && dice(7) === 0) {
      const key = dice(12) === 0 ? headerText(values.oddText(dice)) : `k${number >> 3}-${dice(3)}`;
      request.headers.push(['idempotency-key', key]);
      if (this.keyed.length < 64) this.keyed.push(request);
      else this.keyed[dice(64)] = request;
    }
    this.disturb(request, dice);
    return request;
  }

  private path(operation: ContractOperation, parameters: Parameter[], dice: Dice): string {
    return operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
      const known = dice(12) === 0 ? null : this.values.things.choose(name, dice);
      if (known !== null) return encodeURIComponent(known);
      const { schema } = parameters.find((parameter) => parameter.name === name && parameter.in === 'path')!;
      const text = dice(2) === 0 ? String(this.values.fitting(schema, dice, name)) : this.values.oddText(dice);
      // An empty one or a point would be another path.
      return /^\.{0,2}$/.test(text) ? 'x' : encodeURIComponent(text.toWellFormed());
    });
  }

  private query(parameters: Parameter[], dice: Dice): string {
    const given: string[] = [];
    for (const { name, in: place, required, schema } of parameters) {
      if (place !== 'query' || (required !== true && dice(3) > 0) || (required === true && dice(20) === 0)) continue;
      const value = dice(6) === 0 ? this.values.odd(dice) : this.values.fitting(schema, dice, name);
      const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
      given.push(`${name}=${encodeURIComponent(text.toWellFormed())}`);
    }
    if (dice(30) === 0) given.push(pick(ODD_QUERIES, dice).replaceAll(' ', '%20'));
    return given.length === 0 ? '' : `?${given.join('&')}`;
  }

  private giveBody(request: FuzzRequest, dice: Dice): void {
    const { requestBody } = request.operation.definition as { requestBody?: Body };
    if (requestBody === undefined) {
      // A body where none belongs.
      if (dice(20) > 0) return;
      request.body = Buffer.from(dice(2) === 0 ? '{}' : JSON.stringify(this.values.odd(dice)));
      request.headers.push(['content-type', 'application/json']);
      return;
    }
    const type = pick(Object.keys(requestBody.content), dice);
    const media = requestBody.content[type]!;
    request.headers.push(['content-type', type]);
    if (media['x-line-schema'] !== undefined) request.body = this.operations(type, dice);
    else if (dice(30) > 0) request.body = this.document(media, dice);
  }

  private document({ schema = {}, examples }: Body['content'][string], dice: Dice): Buffer {
    const fitting =
      examples !== undefined && dice(5) === 0
        ? structuredClone(pick(Object.values(examples), dice).value)
        : this.values.fitting(schema, dice);
    return this.text(fitting, dice);
  }

  private text(fitting: unknown, dice: Dice): Buffer {
    const how = dice(100);
    if (how < 65) return Buffer.from(JSON.stringify(fitting));
    if (how < 88) return Buffer.from(JSON.stringify(this.values.spoiled(fitting, dice)) ?? '');
    return this.values.spoiledText(JSON.stringify(fitting), dice);
  }

  /** Lines, some of which use what others before them made. */
  private operations(type: string, dice: Dice): Buffer {
    const lines: Buffer[] = [];
    const labels: string[] = [];
    for (let i = dice(10); i >= 0; i--) {
      const line = this.values.fitting(pick(this.lines, dice), dice) as Record<string, unknown>;
      delete line.as;
      for (const [name, value] of Object.entries(line)) {
        if (name === 'op' || labels.length === 0 || dice(4) > 0) continue;
        if (typeof value !== 'string' && !/iova|address/i.test(name)) continue;
        const label = `$${dice(30) === 0 ? 'none' : pick(labels, dice)}`;
        line[name] = /iova|address/i.test(name)
          ? `${label}.${pick(['iova', 'physicalAddress', 'segments[0].iova', 'x'], dice)}${pick(['', '+4096', '+1', '-1'], dice)}`
          : label;
      }
      if (dice(2) === 0) {
        line.as = `l${dice(8)}`;
        labels.push(line.as as string);
      }
      lines.push(this.text(line, dice(3) === 0 ? dice : () => 0));
    }
    if (type !== 'application/json') {
      const separators = [...lines.map(() => pick(['\n', '\n', '\n', '\r\n', '\n\n', ' \n'], dice))];
      if (dice(40) === 0)
        lines.splice(dice(lines.length + 1), 0, Buffer.from(`{"op":"advance","ns":1,"x":"${'y'.repeat(70_000)}"}`));
      return Buffer.concat(
        lines.flatMap((line, i) => [line, Buffer.from(separators[i] ?? (dice(2) === 0 ? '\n' : ''))]),
      );
    }
    const array = Buffer.from(`[${lines.map((line) => line.toString()).join()}]`);
    return dice(10) === 0 ? this.values.spoiledText(array.toString(), dice) : array;
  }

  /** One thing wrong around the body, for some. */
  private disturb(request: FuzzRequest, dice: Dice): void {
    const { headers } = request;
    switch (dice(60)) {
      case 0:
      case 1: {
        const at = headers.findIndex(([name]) => name === 'content-type');
        const type = pick(ODD_TYPES, dice);
        if (at >= 0) headers[at] = ['content-type', type];
        else headers.push(['content-type', type]);
        if (dice(4) === 0 && at >= 0) headers.splice(at, 1);
        return;
      }
      case 2:
      case 3:
        request.method = pick(METHODS, dice);
        request.exact = false;
        return;
      case 4:
      case 5:
        request.target = this.oddPath(request.target, dice);
        request.exact = false;
        return;
      case 6:
        headers.push([
          'accept',
          pick(
            [
              '*/*',
              'text/html',
              'application/json;q=0',
              'application/openmetrics-text',
              'text/plain',
              ',;q=',
              'image/*',
            ],
            dice,
          ),
        ]);
        return;
      case 7:
        headers[0] = [
          'host',
          pick(
            [
              '',
              'evil.example',
              'localhost:1',
              '127.0.0.1',
              '[::1]:8080',
              'a b',
              'localhost@evil',
              '-',
              '.',
              'localhost.',
            ],
            dice,
          ),
        ];
        return;
      case 8:
        headers.push([
          'origin',
          pick(['null', 'http://evil.example', 'http://localhost', 'https://localhost:443', 'x', 'file://'], dice),
        ]);
        return;
      case 9:
        headers.push(['content-encoding', pick(['gzip', 'br', 'identity', 'deflate, gzip', 'x'], dice)]);
        return;
      case 10:
        headers.push(['x-request-id', headerText(this.values.oddText(dice))]);
        return;
      case 11:
        headers.push([
          pick(
            [
              'x-forwarded-for',
              'forwarded',
              'x-forwarded-host',
              'cookie',
              'range',
              'if-match',
              'if-none-match',
              'te',
              'expect',
              'accept-encoding',
              'access-control-request-method',
              'x-http-method-override',
              'sec-fetch-site',
            ],
            dice,
          ),
          headerText(this.values.oddText(dice)) || 'x',
        ]);
        if (headers.at(-1)![0] === 'expect') headers.pop();
        return;
      case 12:
        for (let i = 0; i < 60; i++) headers.push([`x-h${i}`, 'v']);
        return;
      default:
    }
  }

  private oddPath(target: string, dice: Dice): string {
    const [path = '/', query] = target.split('?', 2);
    const steps = path.split('/');
    const at = 1 + dice(Math.max(1, steps.length - 1));
    switch (dice(6)) {
      case 0:
        steps.splice(at, 0, pick(ODD_STEPS, dice));
        break;
      case 1:
        steps[at] = pick(ODD_STEPS, dice);
        break;
      case 2:
        steps.splice(at, 1);
        break;
      case 3:
        steps.splice(at, 0, '');
        break;
      case 4:
        steps[at] = (steps[at] ?? '').toUpperCase();
        break;
      default:
        return `${path}${pick(['/', '//', '/..', '?', '??', ';a=b', '%3F', '%23', '.json'], dice)}`;
    }
    const odd = steps.join('/');
    return `${odd.startsWith('/') ? odd : `/${odd}`}${query === undefined ? '' : `?${query}`}`;
  }
}

/** As it goes over the wire. */
export function bytesOf({ method, target, headers, body, chunkBytes }: FuzzRequest): Buffer {
  const lines = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  const parts: Buffer[] = [];
  if (body !== null && chunkBytes > 0) {
    lines.push('transfer-encoding: chunked');
    for (let at = 0; at < body.length; at += chunkBytes) {
      const chunk = body.subarray(at, at + chunkBytes);
      parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
    }
    parts.push(Buffer.from('0\r\n\r\n'));
  } else if (body !== null) {
    lines.push(`content-length: ${body.length}`);
    parts.push(body);
  }
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), ...parts]);
}

/** Without what would be another header, or none. */
function headerText(text: string): string {
  return text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').trim();
}
