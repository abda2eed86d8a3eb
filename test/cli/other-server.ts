/** A server that says what a test wants it to, in the contract's shapes. */
import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import type { ExperimentDocument } from '../../src/lab/experiment.ts';

export interface Asked {
  method: string;
  path: string;
  body: unknown;
}

export class OtherServer {
  readonly asked: Asked[] = [];
  address = '';
  private readonly server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk) => (text += chunk));
    request.on('end', () => {
      const asked: Asked = { method: request.method!, path: request.url!, body: text === '' ? null : JSON.parse(text) };
      this.asked.push(asked);
      this.answer(asked, response);
    });
  });
  private readonly answer: (asked: Asked, response: ServerResponse) => void;

  constructor(answer: (asked: Asked, response: ServerResponse) => void) {
    this.answer = answer;
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const at = this.server.address();
    assert.ok(typeof at === 'object' && at !== null);
    this.address = `http://127.0.0.1:${at.port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  count(method: string, path: string): number {
    return this.asked.filter((each) => each.method === method && each.path === path).length;
  }
}

export function say(response: ServerResponse, status: number, document: unknown): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(document));
}

export function documentOf(state: ExperimentDocument['state']): ExperimentDocument {
  return {
    id: 'exp_1',
    state,
    createdAt: '2026-01-01T00:00:00.000Z',
    endedAt: null,
    coreVersion: '3',
    request: { base: {}, vary: {}, combine: 'product', arms: [], until: { operations: 1 }, seeds: [1], control: false },
    jobs: { total: 2, finished: 1, failed: 1, cached: 0 },
    progress: 1,
    arms: [],
  };
}
