/** The server, from its settings to its end. */
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { type Config, readConfig } from './config.ts';
import type { SessionHost } from './host/host.ts';
import { JournalError } from './host/journal/database.ts';
import { createHost } from './host/session-host.ts';
import { buildApp } from './server/app.ts';
import { type DataFolder, openDataFolder } from './server/data-folder.ts';
import { firstCurl, secondCurl } from './server/front-page.ts';
import { closeOnSignals, type Lifecycle } from './server/lifecycle.ts';
import { listen } from './server/listen.ts';
import { createLogger } from './server/request-log.ts';
import { createStream } from './stream/hub.ts';

const config = settings();
const folder = takeDataFolder(config);
const logger = createLogger(config.logLevel);
const lifecycle: Lifecycle = { closing: false };
const host = await openHost(config);
const stream = createStream(host);
const app = await buildApp({ config, host, stream, lifecycle, logger });
const address = await open(app);
folder.announce(address);
closeOnSignals({ lifecycle, app, host, logger, release: () => folder.release() });
greet(address);

function settings(): Config {
  const reading = readConfig(process.argv.slice(2), process.env);
  if (reading.kind === 'text') {
    process.stdout.write(reading.text);
    process.exit(0);
  }
  if (reading.kind === 'problems') return refuse(...reading.problems);
  for (const warning of reading.warnings) console.error(`iommu-lab: ${warning}`);
  return reading.config;
}

function takeDataFolder({ data, port }: Config): DataFolder {
  const opening = openDataFolder(data);
  if (opening.ok) return opening.folder;
  const { problem, holder } = opening;
  if (holder === null) return refuse(`${problem} Choose another one with --data <folder>.`);
  const samePort = port !== 0 && holder.address?.endsWith(`:${port}`);
  return refuse(
    `${problem} ${samePort ? `Port ${port} is taken by it, too. ` : ''}Use that server, stop it, or start this one with --data <another folder> --port <another port>.`,
  );
}

async function openHost(settings: Config): Promise<SessionHost> {
  const { data, sync, workers, maxSessions: sessions, maxAwake: awakeSessions, restAfter } = settings;
  try {
    const journal = { path: join(data, 'sessions.sqlite'), sync };
    const limits = { sessions, awakeSessions, idleMs: restAfter * 1000 };
    return await createHost({ logger, journal, limits, ...(workers === null ? {} : { workers }) });
  } catch (error) {
    if (!(error instanceof JournalError)) throw error;
    folder.release();
    return refuse(
      `The sessions in ${data} cannot be read. ${error.message} Restore the folder from a copy, or start with --data <another folder>.`,
    );
  }
}

async function open(server: FastifyInstance): Promise<string> {
  const opening = await listen(server, config);
  if (opening.ok) return opening.address;
  folder.release();
  return refuse(opening.problem);
}

function greet(at: string): void {
  console.log(`iommu-lab listens on ${at} and keeps its data in ${config.data}
Create a session, then run a millisecond of its traffic:
  ${firstCurl(at)}
  ${secondCurl(at)}
API reference: ${at}/docs/   Ctrl-C stops the server.`);
}

/** The start is refused: what is wrong, a line each, and no stack trace, as it is not a bug. */
function refuse(...problems: string[]): never {
  for (const problem of problems) console.error(`iommu-lab: ${problem}`);
  process.exit(1);
}
