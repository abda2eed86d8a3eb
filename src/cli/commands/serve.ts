/** `serve [flags]`: the server, which reads the flags of the process itself. */
import { COMMANDS } from '../names.ts';

export async function serve(): Promise<void> {
  const at = process.argv.indexOf(COMMANDS[0]);
  process.argv.splice(at, 1);
  await import('../../main.ts');
}
