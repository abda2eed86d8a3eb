/** Answers what Node's HTTP parser refuses before there is a request: as a problem too, then the connection ends. */
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { PROBLEM_TYPE, problemDocument } from '../api/problem.ts';
import { HEADER_BYTES } from './limits.ts';

/** Error codes of Node's HTTP server that are not simply a bad request. */
const CODES: Readonly<Record<string, [code: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['header-too-large', `The request line and headers are larger than ${HEADER_BYTES / 1024} KiB.`],
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'The request headers took too long to arrive.'],
};

export function answerClientError(
  error: Error & { code?: string; reason?: string },
  socket: Socket & { secureConnecting?: boolean },
): void {
  // A reset has nobody to answer, a socket already written to is in the middle of another reply, and before TLS stands there is nothing
  // to answer in.
  if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0 || socket.secureConnecting === true) {
    socket.destroy();
    return;
  }
  const [code, detail] = CODES[error.code ?? ''] ?? [
    'bad-request',
    `The request is not HTTP: ${error.reason ?? error.message}.`,
  ];
  const problem = problemDocument({ code, detail });
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    `content-type: ${PROBLEM_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}
