/** `curl` commands that several pages show, and what most of them show of a reply to one. */
import type { Shown } from './curl.ts';

export const JSON_TYPE = "-H 'content-type: application/json'";

export const create = (spec: string): string => `curl -s localhost:8080/v1/sessions ${JSON_TYPE} -d '${spec}'`;
export const startRun = (session: string, request: string): string =>
  `curl -s localhost:8080/v1/sessions/${session}/runs ${JSON_TYPE} -d '${request}'`;
export const readRun = (session: string): string => `curl -s localhost:8080/v1/sessions/${session}/runs/run_1`;
export const inside = (session: string): string => `curl -s localhost:8080/v1/sessions/${session}/allocator`;
export const ops = (session: string, lines: string[]): string =>
  `curl -s localhost:8080/v1/sessions/${session}/ops -H 'content-type: application/x-ndjson' --data-binary @- <<'OPS'\n${lines.join('\n')}\nOPS`;

export const CREATED: Shown = { name: true, state: true };
export const STARTED: Shown = { id: true };
