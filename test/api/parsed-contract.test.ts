/** The kept parse of the contract is the parse, is not used once the text is another, and is not needed. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { contractDocument, contractText, packageRoot } from '../../src/api/contract.ts';
import { keepParsed, parsedContract } from '../../src/api/parsed-contract.ts';
import { streamContract } from '../../src/stream/contract.ts';

const streamText = readFileSync(join(packageRoot, 'asyncapi.yaml'), 'utf8');

test('the document is that of the YAML, kept or not', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'contract-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const expected = parse(contractText);
  assert.deepEqual(contractDocument, expected);
  assert.deepEqual(parsedContract(root, 'openapi.yaml', contractText), expected);
  writeFileSync(join(root, 'openapi.yaml'), contractText);
  writeFileSync(join(root, 'asyncapi.yaml'), streamText);
  keepParsed(root);
  assert.deepEqual(parsedContract(root, 'openapi.yaml', contractText), expected);
  assert.deepEqual(streamContract, parse(streamText));
  assert.deepEqual(parsedContract(root, 'asyncapi.yaml', streamText), parse(streamText));
});

test('what was kept of another text, or is damaged, is not used', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'contract-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, 'openapi.yaml'), 'openapi: 3.1.0\n');
  writeFileSync(join(root, 'asyncapi.yaml'), 'asyncapi: 3.0.0\n');
  keepParsed(root);
  assert.deepEqual(JSON.parse(readFileSync(join(root, 'dist/contract.json'), 'utf8')).document, { openapi: '3.1.0' });
  assert.deepEqual(parsedContract(root, 'openapi.yaml', 'openapi: 3.1.1\n'), { openapi: '3.1.1' });
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(join(root, 'dist/contract.json'), '{"sha256":');
  assert.deepEqual(parsedContract(root, 'openapi.yaml', 'openapi: 3.1.0\n'), { openapi: '3.1.0' });
});
