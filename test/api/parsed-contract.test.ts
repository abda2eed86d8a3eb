/** The kept parse of the contract is the parse, is not used once the text is another, and is not needed. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { contractDocument, contractText } from '../../src/api/contract.ts';
import { keepParsed, parsedContract } from '../../src/api/parsed-contract.ts';

test('the document is that of the YAML, kept or not', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'contract-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const expected = parse(contractText);
  assert.deepEqual(contractDocument, expected);
  assert.deepEqual(parsedContract(root, contractText), expected);
  writeFileSync(join(root, 'openapi.yaml'), contractText);
  keepParsed(root);
  assert.deepEqual(parsedContract(root, contractText), expected);
});

test('what was kept of another text, or is damaged, is not used', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'contract-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, 'openapi.yaml'), 'openapi: 3.1.0\n');
  keepParsed(root);
  assert.deepEqual(JSON.parse(readFileSync(join(root, 'dist/contract.json'), 'utf8')).document, { openapi: '3.1.0' });
  assert.deepEqual(parsedContract(root, 'openapi: 3.1.1\n'), { openapi: '3.1.1' });
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist/contract.json'), '{"sha256":');
  assert.deepEqual(parsedContract(root, 'openapi: 3.1.0\n'), { openapi: '3.1.0' });
});
