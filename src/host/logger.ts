/** The part of a pino logger that is used. */
export interface HostLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const SILENT: HostLogger = { info() {}, warn() {}, error() {} };
