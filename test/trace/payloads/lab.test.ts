import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { verdictNames } from '../../../src/core/truth/oracle.ts';
import { CALL_OPS, VERDICT_NAMES } from '../../../src/trace/payloads/lab.ts';
import { importText } from '../events.ts';

const PAGE = readFileSync(new URL('../../../docs/trace-format.md', import.meta.url), 'utf8');

it('verdicts have the codes of the core', () => {
  assert.deepEqual(VERDICT_NAMES, verdictNames);
});

it('the page of our own lines lists the verdicts and the ops in the order of their codes, and its example is read', () => {
  const inOrder = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');
  const flat = PAGE.replaceAll(/\s+/g, ' ');
  assert.ok(flat.includes(inOrder(VERDICT_NAMES)));
  assert.ok(flat.includes(inOrder(CALL_OPS)));
  const [, example] = /```text\n([^`]+)```/.exec(PAGE)!;
  const { events, summary } = importText(example!, { strict: true });
  assert.equal(summary.lines.understood, 1);
  assert.deepEqual(events, [
    {
      kind: 'access',
      timeNs: 0,
      timePs: 375,
      cpu: 3,
      pid: 7,
      device: 'nic0',
      iova: '0xfffff000',
      lengthBytes: 1500,
      write: 1,
      detail: 0,
      line: 1,
    },
  ]);
});
