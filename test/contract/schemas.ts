/** Walks through the schemas of the contract, wherever they stand. */
import { contractDocument, contractOperations, type Schema } from '../../src/api/contract.ts';

export interface PlacedSchema {
  schema: Schema;
  /** Where it stands, for messages. */
  place: string;
}

export const components = (contractDocument.components as { schemas: Record<string, Schema> }).schemas;

/** A schema and all inside it; references are not followed. */
export function* schemasIn(node: unknown, place: string): Generator<PlacedSchema> {
  if (node === null || typeof node !== 'object') return;
  if (Array.isArray(node)) {
    for (const [i, item] of node.entries()) yield* schemasIn(item, `${place}/${i}`);
    return;
  }
  const schema = node as Schema;
  yield { schema, place };
  for (const [name, value] of Object.entries((schema.properties as object | undefined) ?? {})) {
    yield* schemasIn(value, `${place}/properties/${name}`);
  }
  for (const member of [
    'items',
    'additionalProperties',
    'propertyNames',
    'allOf',
    'anyOf',
    'oneOf',
    'not',
    'if',
    'then',
    'else',
  ]) {
    yield* schemasIn(schema[member], `${place}/${member}`);
  }
}

/** All components, all parameters, and what stands in bodies and replies. */
export function* allSchemas(): Generator<PlacedSchema> {
  for (const [name, schema] of Object.entries(components)) yield* schemasIn(schema, name);
  for (const { operationId, definition } of contractOperations) {
    for (const parameter of definition.parameters as { name: string; schema: Schema }[]) {
      yield* schemasIn(parameter.schema, `${operationId} ${parameter.name}`);
    }
    for (const [where, media] of mediaOf(definition)) yield* schemasIn(media.schema, `${operationId} ${where}`);
  }
}

interface Media {
  schema?: Schema;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}

/** The bodies of an operation: `request application/json`, `200 application/json`, ... */
export function* mediaOf(definition: Record<string, unknown>): Generator<[string, Media]> {
  const request = definition.requestBody as { content?: Record<string, Media> } | undefined;
  for (const [type, media] of Object.entries(request?.content ?? {})) yield [`request ${type}`, media];
  for (const [status, response] of Object.entries(
    definition.responses as Record<string, { content?: Record<string, Media> }>,
  )) {
    for (const [type, media] of Object.entries(response.content ?? {})) yield [`${status} ${type}`, media];
  }
}
