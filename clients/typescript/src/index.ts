export type { CallOptions, Upload } from './call.ts';
export { type ClientOptions, IommuLab, type WaitOptions } from './client.ts';
export { ConnectionError, IommuLabError } from './errors.ts';
export type { ProblemCode } from './generated/problem-codes.ts';
export type {
  Epoch as EpochMessage,
  EventsFrame,
  FaultsFrame,
  Gap,
  MetricsFrame,
  RunsFrame,
  Topic,
  VerdictsFrame,
} from './generated/stream-messages.ts';
export type * from './generated/types.ts';
export type {
  Operation,
  OperationResults,
  OperationSource,
  OpName,
  OpReply,
  OpsOptions,
  OpsReplies,
} from './ops.ts';
export type { Pages } from './pages.ts';
export type { AbortSignalLike, FetchLike, WebSocketClass, WebSocketLike } from './platform.ts';
export type {
  LabStream,
  StreamEnd,
  StreamEvents,
  StreamFrame,
  StreamMessage,
  StreamOptions,
  StreamPlace,
  StreamState,
} from './stream.ts';
export type { Way } from './wire.ts';
