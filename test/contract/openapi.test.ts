/** The contract itself: whole, strict, and in the dialect that the server's validators understand. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fastify } from 'fastify';
import { registerRoutes } from '../../routes/index.ts';
import { contractOperations, contractSchema, METHODS, type Schema } from '../../src/api/contract.ts';
import { LIMITS } from '../../src/api/limits.ts';
import { Validators } from '../../src/api/validator.ts';
import { buildApp } from '../../src/server/app.ts';
import { FakeHost } from '../routes/fake-host.ts';
import { allSchemas, components, mediaOf, schemasIn } from './schemas.ts';

/** Keywords that mean the same in draft-07, which the server's validators speak, and in 2020-12, which OpenAPI 3.1 speaks. */
const SHARED_KEYWORDS = new Set([
  ...['type', 'enum', 'const', 'description', 'default', 'examples', 'format', '$ref', 'discriminator', 'x-message'],
  ...['properties', 'required', 'additionalProperties', 'propertyNames', 'minProperties', 'maxProperties'],
  ...['items', 'minItems', 'maxItems', 'uniqueItems', 'pattern', 'minLength', 'maxLength'],
  ...['minimum', 'maximum', 'multipleOf', 'allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else'],
]);

describe('schemas', () => {
  it('use only keywords that both dialects share', () => {
    for (const { schema, place } of allSchemas()) {
      for (const keyword of Object.keys(schema)) assert.ok(SHARED_KEYWORDS.has(keyword), `${keyword} at ${place}`);
      assert.ok(!Array.isArray(schema.items), `a list of items at ${place}`);
    }
  });

  it('of numbers have a minimum and a maximum', () => {
    let numbers = 0;
    for (const { schema, place } of allSchemas()) {
      const types = [schema.type].flat();
      if (!types.includes('number') && !types.includes('integer')) continue;
      numbers++;
      assert.equal(typeof schema.minimum, 'number', `no minimum at ${place}`);
      assert.equal(typeof schema.maximum, 'number', `no maximum at ${place}`);
    }
    assert.ok(numbers > 50);
  });

  it('of objects say whether they are closed, and all of a request are', () => {
    for (const { schema, place } of allSchemas()) {
      if (schema.type !== 'object' || schema.discriminator !== undefined) continue;
      assert.notEqual(schema.additionalProperties, undefined, `${place} is neither open nor closed`);
    }
    for (const { operationId, definition } of contractOperations) {
      for (const [where, { schema: body }] of mediaOf(definition)) {
        if (!where.startsWith('request')) continue;
        for (const { schema, place } of schemasIn(body, operationId)) {
          // As in `ops`, these are checked one by one in a worker: see test/host/snapshots.test.ts.
          if (place.endsWith('/records/items')) continue;
          assert.notEqual(schema.additionalProperties, true, `${place} takes anything`);
        }
      }
    }
  });

  it('accept the examples that stand in them, and those of requests and replies', () => {
    const validators = new Validators(false);
    let examples = 0;
    const accept = (schema: Schema, example: unknown, place: string) => {
      examples++;
      assert.equal(validators.compile(schema)(example), null, `${place}: ${JSON.stringify(example)}`);
    };
    for (const [name, schema] of Object.entries(components)) {
      for (const example of (schema.examples as unknown[] | undefined) ?? [])
        accept(contractSchema(name), example, name);
    }
    for (const { operationId, definition } of contractOperations) {
      for (const [where, { schema, example, examples: named }] of mediaOf(definition)) {
        if (schema === undefined) continue;
        if (example !== undefined) accept(schema, example, `${operationId} ${where}`);
        for (const { value } of Object.values(named ?? {})) accept(schema, value, `${operationId} ${where}`);
      }
    }
    assert.ok(examples > 40);
  });
});

describe('operations', () => {
  it('each have an id of their own, a summary, a tag, and a problem for everything else', () => {
    const ids = contractOperations.map(({ operationId }) => operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { operationId, definition } of contractOperations) {
      assert.match(operationId, /^[a-z][A-Za-z]+$/);
      assert.ok(definition.summary, operationId);
      assert.equal((definition.tags as string[]).length, 1, operationId);
      const replies = definition.responses as Record<string, { content?: Record<string, unknown> }>;
      for (const [status, { content }] of Object.entries(replies)) {
        if (status !== 'default' && Number(status) < 400) continue;
        assert.ok(content?.['application/problem+json'], `${operationId} ${status} is no problem`);
      }
      assert.ok(replies.default, `${operationId} has no reply for other problems`);
    }
  });

  it('are the routes that are registered, no more and no less', async () => {
    const registered: string[] = [];
    const app = fastify();
    app.addHook('onRoute', ({ method, url }) => {
      for (const name of [method].flat()) registered.push(`${name} ${url.replace(/:(\w+)/g, '{$1}')}`);
    });
    await registerRoutes(app, { host: new FakeHost() });
    await app.ready();
    await app.close();
    const methods = METHODS.map((method) => method.toUpperCase());
    const routes = registered.filter((route) => methods.includes(route.split(' ', 1)[0] as string));
    const contracted = contractOperations
      .filter(({ routed }) => routed)
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    assert.deepEqual(routes.sort(), contracted.sort());
  });

  it('are all served by the whole server, but for the stream, which is registered with its hub', async () => {
    const config = { host: '127.0.0.1', allowedHosts: [] };
    const app = await buildApp({ config, host: new FakeHost(), lifecycle: { closing: false } });
    for (const { method, path } of contractOperations) {
      if (path.endsWith('/stream')) continue;
      const url = path.replace(/\{(\w+)\}/g, ':$1');
      assert.ok(app.hasRoute({ method: method.toUpperCase() as 'GET', url }), `${method} ${path} is not served`);
    }
    await app.close();
  });

  it('that the server answers by itself are named here', () => {
    const own = contractOperations.filter(({ routed }) => !routed).map(({ path }) => path);
    assert.deepEqual(own.sort(), [
      '/',
      '/docs',
      '/guide',
      '/healthz',
      '/metrics',
      '/openapi.yaml',
      '/readyz',
      '/v1/sessions/{session}/stream',
    ]);
  });
});

it('the limits that the server tells are those of the schemas', () => {
  const maximum = (name: string) => components[name]?.maximum;
  assert.equal(maximum('TouchedBytes'), LIMITS.operationBytes);
  assert.equal(maximum('AccessBytes'), LIMITS.accessBytes);
  assert.equal(maximum('TimeNs'), LIMITS.simulatedTimeNs);
  const segments = components.MapRequest?.properties as Record<string, Schema>;
  assert.equal(segments.segments?.maxItems, LIMITS.segments);
});
