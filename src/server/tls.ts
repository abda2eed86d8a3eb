/**
 * The server's certificate and key, from two files: read and checked at the start, read again when they change and at SIGHUP.
 *
 * The files are looked at by time, not watched: renewed certificates come by a rename, by a symbolic link that is turned, by a mount, and
 * a watch sees one of these or another depending on the file system. New connections get the new certificate; those that are open keep
 * theirs. A pair that does not fit, as between the writing of the two files, changes nothing and is logged.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';

export interface TlsFiles {
  cert: string;
  key: string;
}

export type TlsReading =
  | { ok: true; cert: Buffer; key: Buffer; expiresMs: number; warnings: string[] }
  | { ok: false; problems: string[] };

/** Between two looks at the files. */
const LOOK_MS = 5_000;

/** Reads both and says all that is wrong with them. */
export function readTlsFiles(files: TlsFiles): TlsReading {
  const problems: string[] = [];
  const cert = readPem(files.cert, problems);
  const key = readPem(files.key, problems);
  const certificate = cert === null ? null : parsed(() => new X509Certificate(cert));
  if (cert !== null && certificate === null) problems.push(`${files.cert} holds no certificate in PEM form.`);
  const privateKey = key === null ? null : readKey(files.key, key, problems);
  if (cert === null || key === null || certificate === null || privateKey === null) return { ok: false, problems };

  if (!certificate.checkPrivateKey(privateKey)) {
    return { ok: false, problems: [`The key in ${files.key} is not that of the certificate in ${files.cert}.`] };
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const reason = (error as Error).message;
    return { ok: false, problems: [`${files.cert} and ${files.key} cannot be used for TLS: ${reason}.`] };
  }
  const expiresMs = certificate.validToDate.getTime();
  return { ok: true, cert, key, expiresMs, warnings: outsideOfItsTime(files.cert, certificate) };
}

function readPem(path: string, problems: string[]): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    problems.push(`${path} cannot be read: ${(error as Error).message}.`);
    return null;
  }
}

function readKey(path: string, pem: Buffer, problems: string[]): KeyObject | null {
  const key = parsed(() => createPrivateKey(pem));
  if (key !== null) return key;
  const encrypted = pem.includes('ENCRYPTED');
  problems.push(
    encrypted
      ? `The key in ${path} has a passphrase, which the server has no way to ask for.`
      : `${path} holds no private key in PEM form.`,
  );
  return null;
}

function parsed<T>(parse: () => T): T | null {
  try {
    return parse();
  } catch {
    return null;
  }
}

/** Only warned of: clients will say so themselves, and the server may be there before the renewed certificate is. */
function outsideOfItsTime(path: string, { validFromDate, validToDate }: X509Certificate): string[] {
  const now = Date.now();
  if (validToDate.getTime() < now) return [`The certificate in ${path} expired on ${validToDate.toISOString()}.`];
  if (validFromDate.getTime() > now)
    return [`The certificate in ${path} begins only on ${validFromDate.toISOString()}.`];
  return [];
}

export interface TlsLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What a server speaks TLS with, and keeps up to date. */
export class TlsCertificate {
  readonly files: TlsFiles;
  cert: Buffer;
  key: Buffer;
  /** When the certificate in use ends. */
  expiresMs: number;
  private server: Pick<Server, 'setSecureContext'> | null = null;
  private logger: TlsLogger | undefined;
  private readonly lookMs: number;
  private readonly look = (): void => void this.reload();

  /** @throws when the files cannot be used, which `readConfig` has told before */
  constructor(files: TlsFiles, lookMs = LOOK_MS) {
    const reading = readTlsFiles(files);
    if (!reading.ok) throw new Error(reading.problems.join(' '));
    this.files = files;
    this.cert = reading.cert;
    this.key = reading.key;
    this.expiresMs = reading.expiresMs;
    this.lookMs = lookMs;
  }

  /** From here on `server` gets what is new in the files. */
  keep(server: Pick<Server, 'setSecureContext'>, logger?: TlsLogger): void {
    this.server = server;
    this.logger = logger;
    for (const path of this.paths()) watchFile(path, { interval: this.lookMs, persistent: false }, this.look);
  }

  /** Reads the files again. What does not fit together is left, and the certificate in use stays. @returns whether it changed */
  reload(): boolean {
    const reading = readTlsFiles(this.files);
    if (!reading.ok) {
      this.logger?.warn({ problems: reading.problems }, 'the certificate was not renewed; the one in use stays');
      return false;
    }
    const { cert, key, expiresMs, warnings } = reading;
    if (cert.equals(this.cert) && key.equals(this.key)) return false;
    this.server?.setSecureContext({ cert, key });
    this.cert = cert;
    this.key = key;
    this.expiresMs = expiresMs;
    this.logger?.info({ expires: new Date(expiresMs).toISOString() }, 'the certificate was renewed');
    for (const warning of warnings) this.logger?.warn({}, warning);
    return true;
  }

  close(): void {
    for (const path of this.paths()) unwatchFile(path, this.look);
  }

  private paths(): string[] {
    return [this.files.cert, this.files.key];
  }
}
