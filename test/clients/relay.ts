/** Passes bytes on to a server until it is told to cut, and can refuse to pass upgrades, as some proxies do. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class Relay {
  connections = 0;
  url = '';
  /** Answers an upgrade with 400, as a proxy that knows none. */
  refusesUpgrades = false;
  private readonly open = new Set<Socket>();
  private readonly server: Server;

  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.server = createServer((here) => {
      this.connections++;
      this.open.add(here);
      here.on('error', () => undefined).on('close', () => this.open.delete(here));
      here.once('data', (head) => {
        if (this.refusesUpgrades && /upgrade: websocket/i.test(head.toString('latin1'))) {
          here.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
          return;
        }
        const there = connect(Number(port), hostname);
        this.open.add(there);
        there
          .on('error', () => here.destroy())
          .on('close', () => {
            this.open.delete(there);
            here.destroy();
          });
        here.on('close', () => there.destroy());
        there.write(head);
        here.pipe(there);
        there.pipe(here);
      });
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as { port: number }).port}`;
    return this;
  }

  cut(): void {
    for (const socket of this.open) socket.destroy();
  }

  close(): void {
    this.cut();
    this.server.close();
  }
}
