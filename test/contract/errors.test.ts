/** The catalogue of problems: whole, and what it makes of a reason. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { contractSchema, packageRoot } from '../../src/api/contract.ts';
import { ERRORS, isCatalogued } from '../../src/api/errors.ts';
import { atOrigin, problemDocument } from '../../src/api/problem.ts';
import { downgradeCauses } from '../../src/core/os/invalidation/policy.ts';

/** How sources name a problem: `code: 'name-taken'`, and in the core `refuse('name-taken', ...)`, `fail('no-frame', ...)`. */
const NAMED_CODE = /\bcode: '([a-z0-9-]+)'/g;
const CORE_CODE = /\b(?:code: |(?:refuse|fail)\(\s*)'([a-z0-9-]+)'/g;

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(join(packageRoot, folder), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && entry.name.endsWith('.ts')) yield join(entry.parentPath, entry.name);
  }
}

/** Reasons and warnings have codes of their own, which are in the contract. */
const REASONS = join(packageRoot, 'src/core/boot');

it('every code that the sources name is in the catalogue', () => {
  const missing: string[] = [];
  let seen = 0;
  for (const file of [...sources('src'), ...sources('routes')]) {
    if (file.startsWith(REASONS)) continue;
    const naming = file.startsWith(join(packageRoot, 'src/core')) ? CORE_CODE : NAMED_CODE;
    for (const [, code] of readFileSync(file, 'utf8').matchAll(naming)) {
      seen++;
      if (!isCatalogued(code as string)) missing.push(`${code} in ${file.slice(packageRoot.length + 1)}`);
    }
  }
  assert.ok(seen > 20);
  assert.deepEqual(missing, []);
});

it('every reason and warning that the sources name is in the contract, and the other way round', () => {
  const named = new Set<string>();
  for (const file of sources('src/core/boot'))
    for (const [, code] of readFileSync(file, 'utf8').matchAll(CORE_CODE)) named.add(code as string);
  // These are the causes that a policy declares.
  for (const cause of downgradeCauses) named.add(cause);
  const codesOf = (schema: string) =>
    ((contractSchema(schema).properties as Record<string, { enum?: string[] }>).code as { enum: string[] }).enum;
  assert.deepEqual([...named].sort(), [...codesOf('PolicyReason'), ...codesOf('CommandLineWarning')].sort());
});

it('every entry has a code in kebab case, a status of a problem and a title', () => {
  for (const [code, { status, title }] of Object.entries(ERRORS)) {
    assert.match(code, /^[a-z]+(-[a-z0-9]+)*$/);
    assert.ok(status >= 400 && status < 600, code);
    assert.match(title, /^[A-Z].*[^.]$/, code);
  }
});

it('what is unknown is 404, unless a pointer says that the body mentioned it', () => {
  assert.equal(problemDocument({ code: 'unknown-device', detail: 'x' }).status, 404);
  const mentioned = problemDocument({ code: 'unknown-device', detail: 'x', path: '/device' });
  assert.deepEqual([mentioned.status, mentioned.errors], [400, [{ path: '/device', message: 'x' }]]);
  const conflict = problemDocument({ code: 'name-taken', detail: 'x', path: '/name' });
  assert.equal(conflict.status, 409, 'a pointer changes no other status');
});

it('a pointer is dropped when its first member came from the path, and names the parameter when it came from the query', () => {
  const reason = { code: 'unknown-buffer', detail: 'x', path: '/segments/2/buffer' };
  assert.equal(atOrigin(reason, { path: ['device', 'buffer'], query: ['cpu'] }), reason);
  assert.equal(atOrigin(reason, { path: ['segments'] }).path, undefined);
  const cpu = { code: 'out-of-range', detail: 'x', path: '/cpu', errors: [{ path: '/cpu', message: 'x' }] };
  assert.deepEqual(problemDocument(atOrigin(cpu, { query: ['cpu'] })).errors, [{ path: '?cpu', message: 'x' }]);
});

it('a code without an entry is a failure of the server', () => {
  assert.equal(problemDocument({ code: 'constructor', detail: 'x' }).status, 500);
});
