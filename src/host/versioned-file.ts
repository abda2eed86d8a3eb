/**
 * A file of SQLite that knows whose it is and of which version: made when it is not there, refused by name when it is another's or was
 * written by a later release.
 */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

export interface VersionedFile {
  /** Null: in memory. */
  path: string | null;
  applicationId: number;
  version: number;
  /** Statements that make its tables. */
  schema: string;
  /** Statements for each connection. */
  pragmas: string;
  /** What it is a file of, as in `file of traces`. */
  of: string;
}

/** @param refused makes the error that is thrown when the file is not to be used */
export function openVersioned(file: VersionedFile, refused: (message: string) => Error): DatabaseSync {
  const { path, applicationId, version, schema, pragmas, of } = file;
  const isNew = path === null || !existsSync(path);
  const database = new DatabaseSync(path ?? ':memory:');
  try {
    database.exec(pragmas);
    const numberOf = (query: string) => Object.values(database.prepare(query).get() ?? {})[0] as number;
    const application = numberOf('PRAGMA application_id');
    const found = numberOf('PRAGMA user_version');
    const tables = numberOf('SELECT count(*) FROM sqlite_schema');
    if (isNew || (application === 0 && found === 0 && tables === 0)) {
      database.exec(
        `BEGIN; ${schema} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}; COMMIT;`,
      );
      return database;
    }
    if (application !== applicationId) throw refused(`${path} is no file of ${of}.`);
    if (found > version)
      throw refused(
        `${path} is of version ${found}, and this server knows up to version ${version}: a later release has written it.`,
      );
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
