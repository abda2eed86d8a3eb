/**
 * Requests one after the other over one kept connection, for times: whoever measures takes part of the machine that is measured, and
 * `fetch` leaves so much garbage that the client's collector, on four threads, is what the slowest replies wait for.
 */
import { Agent, request } from 'node:http';
import type { ServerProcess } from './server.ts';

export class Connection {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private readonly server: ServerProcess;

  constructor(server: ServerProcess) {
    this.server = server;
  }

  /** Rejects on any status but 200. */
  post(path: string, body: string): Promise<void> {
    const { agent } = this;
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const asked = request(`${this.server.address}/v1${path}`, { agent, method: 'POST', headers }, (reply) => {
        reply.resume();
        reply.once('error', reject);
        reply.once('end', () => {
          if (reply.statusCode === 200) resolve();
          else reject(new Error(`POST ${path}: ${reply.statusCode}`));
        });
      });
      asked.once('error', reject);
      asked.end(body);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
