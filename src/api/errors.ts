/**
 * Every reason for which a request may not do what it asked, by its stable code. Clients act on the code; the status is for
 * everything in between; `detail` is for people and may change.
 */

export interface CatalogueEntry {
  status: number;
  title: string;
  /** Whether the same request may succeed later without the client changing it. */
  retryable: boolean;
}

function refusal(status: number, title: string): CatalogueEntry {
  return { status, title, retryable: false };
}
function passing(status: number, title: string): CatalogueEntry {
  return { status, title, retryable: true };
}

/**
 * `unknown-*` is 404 when the id stands in the path and 400 when it stands in the body; see `problemDocument`.
 */
export const ERRORS: Readonly<Record<string, CatalogueEntry>> = {
  // The request itself.
  'invalid-body': refusal(400, 'The request body does not fit the contract'),
  'invalid-query': refusal(400, 'The query does not fit the contract'),
  'invalid-path': refusal(400, 'The path does not fit the contract'),
  'invalid-cursor': refusal(400, 'The cursor is not one of this list'),
  'invalid-spec': refusal(400, 'The spec cannot be simulated'),
  'invalid-experiment': refusal(400, 'The experiment cannot be run'),
  'invalid-operation': refusal(400, 'The operation cannot be carried out as asked'),
  'invalid-header': refusal(400, 'A request header cannot be used'),
  'unexpected-body': refusal(400, 'The operation takes no body'),
  'not-json': refusal(400, 'The body is not JSON'),
  'bad-request': refusal(400, 'The request is not valid HTTP for this server'),
  'not-found': refusal(404, 'There is nothing at this path'),
  'method-not-allowed': refusal(405, 'The path does not have this method'),
  'not-acceptable': refusal(406, 'No form of the reply is acceptable to the client'),
  'request-timeout': passing(408, 'The request took too long to arrive'),
  'body-too-large': refusal(413, 'The body is too large'),
  'uri-too-long': refusal(414, 'The address is too long'),
  'unsupported-media-type': refusal(415, 'The operation does not take a body of this type'),
  'upgrade-required': refusal(426, 'This path speaks WebSocket only'),
  'unsupported-subprotocol': refusal(400, 'The server does not speak this subprotocol'),
  'header-too-large': refusal(431, 'The request headers are too large'),
  'forbidden-host': refusal(403, 'The server does not answer to this Host'),
  'forbidden-origin': refusal(403, 'The server does not answer to this Origin'),

  // Who may do it.
  unauthenticated: refusal(401, 'The request carries no token that the server knows'),
  'insufficient-scope': refusal(403, 'The token does not reach so far'),
  'not-permitted': refusal(403, 'Another principal decides about this'),
  'unknown-token': refusal(404, 'No such token'),
  'unknown-grant': refusal(404, 'No such grant'),
  'unknown-link': refusal(404, 'No such link'),
  'token-ended': refusal(409, 'The token was revoked or has expired'),
  'too-many-tokens': refusal(409, 'There are as many tokens as there may be'),
  'too-many-shares': refusal(409, 'The session is shared as often as it may be'),

  // Idempotency keys.
  'invalid-idempotency-key': refusal(400, 'The Idempotency-Key cannot be used'),
  'idempotency-in-flight': passing(409, 'The first request with this Idempotency-Key is still in flight'),
  'idempotency-reply-dropped': refusal(409, 'The reply to the first request with this Idempotency-Key was not kept'),
  'idempotency-mismatch': refusal(422, 'The Idempotency-Key was used with another body'),

  // What is named does not exist.
  'unknown-session': refusal(404, 'No such session'),
  'unknown-tenant': refusal(404, 'No such tenant'),
  'unknown-domain': refusal(404, 'No such domain'),
  'unknown-device': refusal(404, 'No such device'),
  'unknown-buffer': refusal(404, 'No such buffer'),
  'unknown-mapping': refusal(404, 'No such live mapping'),
  'unknown-workload': refusal(404, 'No such workload'),
  'unknown-run': refusal(404, 'No such run'),
  'unknown-snapshot': refusal(404, 'No such snapshot'),
  'unknown-experiment': refusal(404, 'No such experiment'),
  'unknown-trace': refusal(404, 'No such trace'),
  'unknown-metric': refusal(400, 'No such metric'),

  // The state does not allow it.
  'run-active': passing(409, 'A run is active'),
  'session-reset': passing(409, 'The session was reset meanwhile'),
  'name-taken': refusal(409, 'The name is taken'),
  'in-use': refusal(409, 'It is still in use'),
  'buffer-mapped': refusal(409, 'The buffer is mapped'),
  'device-detached': refusal(409, 'The device is attached to no domain'),
  'no-workload': refusal(409, 'The session has no workload to run'),
  'policy-conflict': refusal(400, 'The policy does not allow it'),
  'invalid-snapshot': refusal(400, 'The snapshot cannot be restored'),
  'too-many-snapshots': refusal(409, 'The session has as many snapshots as it may have'),
  'invalid-name': refusal(400, 'The name has the form of an id'),
  'invalid-address': refusal(400, 'The address cannot be used here'),
  'address-width': refusal(400, "The range lies beyond the domain's address width"),
  'out-of-range': refusal(400, 'A number is outside what this session has'),
  'beyond-memory': refusal(400, 'The range lies beyond the memory of the machine'),
  misaligned: refusal(400, 'The range is not aligned to pages'),
  overlap: refusal(409, 'The range overlaps one that is live'),
  'superpage-cut': refusal(409, 'The range would cut a superpage'),
  'reserved-region': refusal(409, 'The range overlaps a reserved region'),
  'too-many-pages': refusal(400, 'The operation touches too many pages'),
  horizon: refusal(400, 'The time lies beyond the end of simulated time'),

  // Expected failures of the simulated kernel: they executed.
  'iova-exhausted': passing(507, 'No IOVA left'),
  'no-frame': passing(507, 'No page frame left'),
  'quota-exceeded': passing(507, 'The memory quota of the tenant is used up'),
  'flush-queue-exhausted': passing(507, 'No memory for the flush queue left'),
  'bounce-pool-full': passing(507, 'The bounce pool is full'),
  'shadow-pool-full': passing(507, 'The shadow buffers have reached their limit'),
  'mask-unreachable': refusal(507, 'The device cannot address the memory'),

  // Lines of `ops`.
  'line-too-long': refusal(400, 'The line is longer than 64 KiB'),
  'too-many-operations': refusal(413, 'The array has too many operations'),
  'unknown-label': refusal(400, 'The label is not defined'),
  'label-redefined': refusal(400, 'The label is defined already'),
  'too-many-labels': refusal(400, 'The request has too many labels'),
  'invalid-label': refusal(400, 'The label does not lead to a usable value'),
  'idle-timeout': passing(408, 'Nothing arrived for too long'),
  aborted: passing(499, 'The client ended the request'),

  // The stream.
  'invalid-message': refusal(400, 'The message is not one of the stream'),

  // Traces.
  'mismatching-upload-offset': passing(409, 'The upload goes on elsewhere'),
  'inconsistent-upload-length': refusal(400, 'The upload is said to have another length'),
  'upload-complete': refusal(409, 'The upload has its end already'),
  'upload-superseded': passing(409, 'Another request goes on with the upload'),
  'trace-failed': refusal(409, 'The recording cannot be read'),
  'trace-not-ready': passing(409, 'The recording is not read yet'),
  'trace-in-use': refusal(409, 'A session replays the trace'),
  'trace-damaged': refusal(500, 'What was kept of the trace cannot be read'),
  'trace-too-large': refusal(422, 'To look at all of the trace takes more than it may'),
  'recording-too-large': refusal(413, 'The recording is larger than one may be'),
  'too-many-traces': passing(429, 'There are as many traces as there may be'),
  'storage-full': passing(507, 'The disk has no room for it'),

  // Why a recording could not be read.
  unrecognised: refusal(500, 'The recording is of no format that is known'),
  'not-understood': refusal(500, 'A line of the recording is not understood'),
  'invalid-options': refusal(400, 'The options do not fit the format'),
  'invalid-encoding': refusal(500, 'The recording is not packed as was said'),
  'unpacks-too-large': refusal(500, 'The recording unpacks to too much'),
  'upload-lost': refusal(500, 'Bytes of the recording are gone'),
  'reader-failed': refusal(500, 'What read the recording failed'),
  'reader-out-of-memory': refusal(500, 'To read the recording takes too much memory'),
  'tape-too-large': refusal(500, 'The events of the recording take too much room'),
  'tape-damaged': refusal(500, 'What was kept of the recording is damaged'),
  'tape-unsealed': refusal(500, 'What was kept of the recording has no end'),
  'tape-other-version': refusal(500, 'What was kept of the recording is of another version'),
  'tape-unusable': refusal(500, 'What was kept of the recording cannot be used'),

  // Why a job of an experiment has no result.
  'job-failed': refusal(500, 'The simulation of the job failed'),
  'job-took-too-long': refusal(500, 'The job computed for longer than one may'),
  'job-thread-died': passing(500, 'What computed the job died'),
  'job-cancelled': refusal(500, 'The job was cancelled'),
  'core-changed': refusal(500, 'The experiment was begun under another version of the core'),

  // The server.
  'session-failed': refusal(500, 'The session failed and was set aside'),
  'session-lost': refusal(500, 'The session cannot be had again from its journal'),
  'session-recovering': passing(503, 'The session is being brought back from its journal'),
  'storage-unavailable': passing(503, 'Nothing can be written to the data folder'),
  'run-interrupted': passing(500, 'The end of the server interrupted the run'),
  'session-busy': passing(503, 'Too much work waits for this session'),
  'too-many-sessions': passing(429, 'There are as many sessions as there may be'),
  'session-paused': passing(429, 'The session is paused by a quota'),
  'too-many-frames': passing(429, 'The session has as many page frames as it may'),
  'too-many-mappings': passing(429, 'The session has as many live mappings as it may'),
  'too-much-memory': passing(429, "The session takes as much of the server's memory as it may"),
  'too-much-stored': passing(429, 'As much is stored as there may be'),
  'too-many-streams': passing(429, 'There are as many streams as there may be'),
  'too-many-runs': passing(429, 'There are as many runs as there may be'),
  'too-many-experiments': passing(429, 'There are as many experiments as there may be'),
  'too-many-requests': passing(429, 'Too many requests'),
  // Of a job that went through the queue.
  'job-lost': passing(500, 'Every worker that computed the job ended before it did'),
  'job-too-large': refusal(507, 'The job is too large for the queue'),
  'result-too-large': refusal(507, 'The result is too large for the queue'),
  'invalid-job': refusal(500, 'A worker refused the job'),
  'recording-missing': refusal(500, 'The recording is not where the job was computed'),
  'shutting-down': passing(503, 'The server is shutting down'),
  overloaded: passing(503, 'The server is overloaded'),
  timeout: passing(504, 'The session did not answer in time'),
  internal: refusal(500, 'The server failed'),
};

const UNCATALOGUED: CatalogueEntry = ERRORS.internal as CatalogueEntry;

/** The entry of a code; a code that is not in the catalogue is a bug of ours and therefore a 500. */
export function catalogueEntry(code: string): CatalogueEntry {
  return Object.hasOwn(ERRORS, code) ? (ERRORS[code] as CatalogueEntry) : UNCATALOGUED;
}

export function isCatalogued(code: string): boolean {
  return Object.hasOwn(ERRORS, code);
}
