/** A request for server-sent events: whether it is one, and what it subscribes to. */
import type { IncomingHttpHeaders } from 'node:http';
import { preferredType } from '../api/accept.ts';
import { contractOperations, type Schema } from '../api/contract.ts';
import { ProblemError, type Reason, type Violation } from '../api/problem.ts';
import { Validators } from '../api/validator.ts';
import { EVENT_STREAM } from './event-transport.ts';
import type { Subscribe } from './protocol.ts';
import { TOPICS } from './topics.ts';

/** Looked at by who lets in. */
const TICKET = 'ticket';
/** As `placeOf` makes it; header names are lower case here. */
const LAST_EVENT_ID = 'last-event-id';
const PLACE_FORM = /^([^:]{1,128}):([0-9]{1,16})$/;

/** Whoever takes anything gets no stream that never ends. */
export function wantsEvents(accept: string | undefined): boolean {
  return preferredType(accept, [{ type: EVENT_STREAM, byName: true }]) !== null;
}

type Query = Pick<Subscribe, 'everyMs' | 'epoch' | 'fromSequence'> & { topics?: Subscribe['topics'] };

const validate = new Validators(true).compileLater(querySchema);

/** The query of the contract's operation, the ticket left out. */
function querySchema(): Schema {
  const operation = contractOperations.find(({ operationId }) => operationId === 'openStream');
  const parameters = operation?.definition.parameters as { name: string; in: string; schema: Schema }[];
  const ofQuery = parameters.filter((parameter) => parameter.in === 'query' && parameter.name !== TICKET);
  const properties = Object.fromEntries(ofQuery.map(({ name, schema }) => [name, schema]));
  return { type: 'object', properties, additionalProperties: false };
}

/**
 * What the query says, or, of where to begin, what `Last-Event-ID` does.
 *
 * @param cannotBegin why there is no such place
 * @throws ProblemError
 */
export function subscriptionOf(
  asked: Readonly<Record<string, unknown>>,
  headers: IncomingHttpHeaders,
  cannotBegin: (subscribe: Subscribe) => Reason | null,
): Subscribe {
  const { [TICKET]: _ticket, ...query } = asked as Record<string, unknown>;
  const twice = Object.keys(query).find((name) => Array.isArray(query[name]));
  if (twice !== undefined) throw refused([{ path: `?${twice}`, message: 'stands there more than once' }]);
  if (typeof query.topics === 'string') query.topics = query.topics.split(',');
  const violations = validate(query);
  if (violations !== null) throw refused(violations.map(ofQuery));
  const { topics = [...TOPICS], ...rest } = query as Query;
  const place = placeIn(headers[LAST_EVENT_ID]);
  const subscribe: Subscribe = { type: 'subscribe', topics, ...rest, ...place };
  const reason = cannotBegin(subscribe);
  if (reason === null) return subscribe;
  if (place !== null) throw new ProblemError({ code: 'invalid-header', detail: `Last-Event-ID: ${reason.detail}.` });
  throw refused([{ path: '?fromSequence', message: reason.detail }]);
}

function placeIn(lastEventId: string | string[] | undefined): Pick<Subscribe, 'epoch' | 'fromSequence'> | null {
  if (lastEventId === undefined || lastEventId === '') return null;
  const [, epoch, sequence] = PLACE_FORM.exec(String(lastEventId)) ?? [];
  const fromSequence = Number(sequence) + 1;
  if (epoch !== undefined && Number.isSafeInteger(fromSequence)) return { epoch, fromSequence };
  const detail = 'Last-Event-ID is no id of an event of this stream.';
  throw new ProblemError({ code: 'invalid-header', detail });
}

function ofQuery({ path, message }: Violation): Violation {
  return { path: `?${path.slice(1)}`, message: message.replace(/^unknown member/, 'unknown query parameter') };
}

function refused(errors: Violation[]): ProblemError {
  const detail = errors.map(({ path, message }) => (message.startsWith('unknown') ? message : `${path} ${message}`));
  return new ProblemError({ code: 'invalid-query', detail: detail.join('; '), errors });
}
