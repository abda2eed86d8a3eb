/**
 * The yardstick of single operations: Fastify with one route, its body and path checked by Ajv against the schemas of the contract,
 * its reply serialised as the server serialises replies. No session, no worker, no log, no hook.
 */
import fastify from 'fastify';
import { contractOperations, type Schema } from '../../src/api/contract.ts';
import { Validators } from '../../src/api/validator.ts';

const reply = JSON.parse(process.argv[2]!) as object;
const operation = contractOperations.find(({ operationId }) => operationId === 'accessMemory')!;
const { definition } = operation;
const content = (definition.requestBody as { content: Record<string, { schema: Schema }> }).content;
const parameters = definition.parameters as { in: string; name: string; schema: Schema }[];
const path = parameters.filter((parameter) => parameter.in === 'path');
const params: Schema = {
  type: 'object',
  properties: Object.fromEntries(path.map(({ name, schema }) => [name, schema])),
  required: path.map(({ name }) => name),
};

const strict = new Validators(false);
const coercing = new Validators(true);
const app = fastify();
app.setValidatorCompiler(({ schema, httpPart }) => {
  const validate = (httpPart === 'body' ? strict : coercing).compile(schema as Schema);
  return (data: unknown) => (validate(data) === null ? { value: data } : { error: new Error('refused') });
});
app.setSerializerCompiler(() => (data) => JSON.stringify(data));
app.post(
  operation.path.replaceAll('{', ':').replaceAll('}', ''),
  { schema: { params, body: content['application/json']!.schema } },
  async () => reply,
);
await app.listen({ host: '127.0.0.1', port: 0 });
process.send!((app.server.address() as { port: number }).port);
process.on('disconnect', () => process.exit());
