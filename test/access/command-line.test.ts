/** `token ...`: what it prints where, what it refuses, and that a running server hears of it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tokenCommand } from '../../src/access/command-line.ts';
import { openAccessStore } from '../../src/access/store.ts';
import { type Ending, startGuarded, temporaryFolder } from './guarded-server.ts';

interface Said {
  code: number;
  out: string;
  err: string;
}

function commandsIn(folder: string, nowMs = Date.now): (...words: string[]) => Said {
  return (...words) => {
    const said: Said = { code: 0, out: '', err: '' };
    const terminal = {
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      nowMs,
    };
    said.code = tokenCommand(words, { IOMMU_LAB_DATA: folder }, terminal);
    return said;
  };
}

const commands = (context: Ending) => commandsIn(temporaryFolder(context));

test('create prints the token alone on stdout, and what it is on stderr', (context) => {
  const token = commands(context);
  const { code, out, err } = token(
    'create',
    '--name',
    'ci',
    '--scope',
    'read',
    '--expires',
    '30d',
    '--limit',
    'runs=2',
    '--limit=sessions=0',
  );
  assert.equal(code, 0);
  assert.match(out, /^ilt_\w{16}_[\w-]{43}\n$/);
  assert.match(err, /^tok_\w{16}: "ci" for the principal ci, scope read; it ends 20.*shown this once/);
  const [listed] = JSON.parse(token('list', '--json').out);
  assert.deepEqual([listed.scope, listed.limits], ['read', { runs: 2, sessions: 0 }]);
  assert.equal(Date.parse(listed.expiresAt) - Date.parse(listed.createdAt), 30 * 86_400_000);
  const made = JSON.parse(token('create', '--name', 'laptop of Alice', '--principal', 'alice', '--json').out);
  assert.deepEqual([made.principal, made.scope, made.expiresAt], ['alice', 'write', null]);
});

test('list shows a table without secrets; what has ended only when asked', (context) => {
  const token = commands(context);
  const secret = token('create', '--name', 'old').out.trim();
  token('create', '--name', 'new');
  token('revoke', 'old');
  const lines = token('list').out.trim().split('\n');
  assert.match(lines[0]!, /^id +name +principal +scope +state +createdAt +expiresAt +lastUsedAt$/);
  assert.equal(lines.length, 2);
  const all = token('list', '--all').out;
  assert.match(all, /old .*revoked/);
  assert.equal(all.includes(secret), false);
});

test('rotate makes another beside the old one, which ends after the overlap or by revoke', (context) => {
  const folder = temporaryFolder(context);
  const token = commandsIn(folder);
  token('create', '--name', 'ci', '--expires', '1h');
  const { out } = token('rotate', 'ci', '--overlap', '10m', '--json');
  const made = JSON.parse(out);
  const store = openAccessStore(folder);
  const old = store.token(made.replaces)!;
  const next = store.token(made.id)!;
  assert.ok(old.expiresMs! - next.createdMs === 600_000 && next.expiresMs! - next.createdMs === 3_600_000);
  store.close();
  const unclear = token('revoke', 'ci');
  assert.equal(unclear.code, 1);
  assert.match(unclear.err, /2 tokens are named "ci": say which by its id, tok_\w+, tok_\w+\./);
  assert.equal(token('revoke', made.replaces).code, 0);
  assert.equal(token('revoke', 'ci').code, 0, 'then only one has the name');
  assert.match(token('rotate', made.id).err, /is revoked already/);
  assert.match(token('revoke', 'nobody').err, /no token "nobody"/);
});

test('what does not fit is refused by the name of its flag, and makes nothing', (context) => {
  const token = commands(context);
  const wrong: [string[], RegExp][] = [
    [['create'], /required option '--name <name>'/],
    [['create', '--name', 'x', '--scope', 'root'], /--scope.*'root' is invalid.*read, write, admin/],
    [['create', '--name', 'x', '--expires', '30'], /--expires.*'30' is invalid.*s, m, h or d/],
    [['create', '--name', 'x', '--expires', '0d'], /--expires/],
    [['create', '--name', 'x', '--principal', '7up'], /--principal.*a letter, then/],
    [['create', '--name', '\t'], /--name/],
    [['create', '--name', 'x', '--limit', 'streems=1'], /--limit.*streams/],
    [['create', '--name', 'x', '--expire', '1d'], /unknown option '--expire'.*--expires/s],
    [['mint'], /unknown command 'mint'/],
    [['create', '--name', 'x', '--data', ''], /--data is ""/],
  ];
  for (const [words, message] of wrong) {
    const { code, out, err } = token(...words);
    assert.deepEqual([code, out], [1, ''], words.join(' '));
    assert.match(err, message);
    assert.doesNotMatch(err, /^ +at /m);
  }
  assert.equal(JSON.parse(token('list', '--all', '--json').out).length, 0);
  assert.equal(token('--help').code, 0);
  assert.match(token('create', '--help').out, /--principal/);
});

test('a server that runs on the folder takes in what the command line does, and it is on record', async (context) => {
  const server = await startGuarded(context);
  assert.equal((await server.as(null)('GET', '/v1/sessions')).status, 200);
  const token = commandsIn(server.folder);
  const text = token('create', '--name', 'first', '--scope', 'admin').out.trim();
  // As if the time between two looks had passed.
  server.later(300);
  assert.equal((await server.as(null)('GET', '/v1/sessions')).status, 401);
  assert.equal((await server.as(text)('GET', '/v1/sessions')).status, 200);
  const { items } = (await server.as(text)('GET', '/v1/audit')).body;
  const made = items.find(({ action }: { action: string }) => action === 'token create');
  assert.deepEqual([made.requestId, made.principal], ['command line', null]);
  token('revoke', 'first');
  server.later(300);
  assert.equal((await server.as(text)('GET', '/v1/sessions')).status, 401);
  assert.equal(readFileSync(join(server.folder, 'audit-1.jsonl'), 'utf8').includes(text), false);
});
