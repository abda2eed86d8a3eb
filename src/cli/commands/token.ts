/** `token ...`: as `npm start -- token ...`. */
import { tokenCommand } from '../../access/command-line.ts';

export async function tokens(): Promise<number> {
  return tokenCommand(process.argv.slice(process.argv.indexOf('token') + 1), process.env);
}
