/** Types of schemas as TypeScript: of the contract for the server, and of the contract and the stream for the client's package. */
import { compile } from 'json-schema-to-typescript';

export type Node = Record<string, unknown>;

/**
 * A schema as the generator should see it: references into `definitions`, and without conditions, which types cannot say and
 * which it would turn into index signatures. Numbers and texts lose their bounds, arrays their lengths.
 */
function forTypes(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(forTypes);
  if (node === null || typeof node !== 'object') return node;
  const { if: condition, then: one, else: other, type, properties, description } = node as Node;
  // A choice by type, written as a condition so that a refusal speaks of the branch that was meant.
  if (
    condition !== undefined &&
    one !== undefined &&
    other !== undefined &&
    type === undefined &&
    properties === undefined
  )
    return { description, oneOf: [forTypes(one), forTypes(other)] };
  const copy: Node = {};
  for (const [member, value] of Object.entries(node as Node)) {
    if (DROPPED.has(member)) continue;
    copy[member] =
      member === '$ref' ? String(value).replace('#/components/schemas/', '#/definitions/') : forTypes(value);
  }
  if (Array.isArray(copy.allOf)) {
    const parts = (copy.allOf as Node[]).filter(saysType);
    if (parts.length > 0) copy.allOf = parts;
    else delete copy.allOf;
  }
  // Choices that only say which members go together: the members stand beside them.
  if (copy.properties !== undefined && Array.isArray(copy.oneOf)) delete copy.oneOf;
  return copy;
}

/** What types cannot say. */
const DROPPED = new Set([
  ...['if', 'then', 'else', 'not', 'propertyNames', 'minProperties', 'maxProperties', 'minItems', 'maxItems'],
  ...['discriminator', 'examples', 'example', 'default', 'x-message'],
]);

/** Whether a part of `allOf` describes a value; references to sets of rules (`...Rules`) and bare `required` do not. */
function saysType(part: Node): boolean {
  if (typeof part.$ref === 'string') return !part.$ref.endsWith('Rules');
  return part.type !== undefined;
}

/**
 * @param schemas by the name that the type gets
 * @param banner the comment at the top of the file
 */
export async function typesOf(schemas: Record<string, Node>, banner: string): Promise<string> {
  const definitions: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(schemas)) {
    if (!name.endsWith('Rules')) definitions[name] = forTypes(schema);
  }
  const source = await compile({ definitions } as Parameters<typeof compile>[0], 'Contract', {
    bannerComment: banner,
    unreachableDefinitions: true,
    additionalProperties: false,
    format: true,
    style: { printWidth: 120, singleQuote: true },
  });
  // The generator says of each type where in its input it came from, and makes a type of the input itself: neither is of use.
  return source
    .replace(
      / \*\n \* This interface was referenced by `Contract`'s JSON-Schema\n \* via the `definition` "\w+"\.\n/g,
      '',
    )
    .replace(
      /\/\*\*\n \* This interface was referenced by `Contract`'s JSON-Schema\n \* via the `definition` "\w+"\.\n \*\/\n/g,
      '',
    )
    .replace(/^export interface Contract \{\n {2}\[k: string\]: unknown;\n\}\n/m, '');
}
