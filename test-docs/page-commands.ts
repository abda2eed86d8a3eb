/** The commands that a page shows, but for those in generated parts: these are run where they are generated. */
import { readFileSync } from 'node:fs';

export interface Command {
  page: string;
  /** Of the fence it stands in, from 1. */
  line: number;
  /** As a shell takes it: continued lines and here-documents are part of it. */
  text: string;
}

/** What a fence may hold besides commands. */
const NO_COMMANDS = ['text', 'json', 'ndjson', 'js', 'ts', 'python', 'yaml', 'nginx', 'promql', 'html'];

export function commandsOf(page: string): Command[] {
  const text = readFileSync(page, 'utf8');
  // Blanked, so that lines keep their numbers.
  const own = text.replaceAll(/<!-- generated: .+? -->[\s\S]*?<!-- end -->/g, (part) => part.replaceAll(/[^\n]/g, ''));
  const commands: Command[] = [];
  for (const match of own.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)) {
    const [, language, body] = match as unknown as [string, string, string];
    // Where a page cannot be followed here it says so itself.
    if (/<!-- not run: .+ -->\n\n$/.test(own.slice(0, match.index))) continue;
    const line = own.slice(0, match.index).split('\n').length;
    if (NO_COMMANDS.includes(language)) continue;
    if (language === 'sh') commands.push(...linesOf(body).map((text) => ({ page, line, text })));
    else if (language === 'console') commands.push(...typedOf(body).map((text) => ({ page, line, text })));
    else
      throw new Error(
        `${page}:${line}: a fence of "${language}" is neither commands (sh, console) nor ${NO_COMMANDS.join(', ')}`,
      );
  }
  return commands;
}

function linesOf(body: string): string[] {
  return joined(body.trimEnd().split('\n')).filter((line) => !line.startsWith('#'));
}

/** Of `console`, what stands behind a prompt; the rest is what was printed. */
function typedOf(body: string): string[] {
  const lines = body.trimEnd().split('\n');
  const typed: string[] = [];
  for (const line of lines) {
    const before = typed.at(-1);
    if (line.startsWith('$ ')) typed.push(line.slice(2));
    else if (before !== undefined && isOpen(before)) typed[typed.length - 1] = `${before}\n${line}`;
  }
  return typed;
}

function joined(lines: string[]): string[] {
  const whole: string[] = [];
  for (const line of lines) {
    const before = whole.at(-1);
    if (before !== undefined && isOpen(before)) whole[whole.length - 1] = `${before}\n${line}`;
    else if (line.trim() !== '') whole.push(line);
  }
  return whole;
}

/** Whether a shell would wait for more. */
function isOpen(text: string): boolean {
  if (text.endsWith('\\') || text.endsWith('|')) return true;
  const here = /<<'?(\w+)'?/.exec(text);
  if (here !== null && !new RegExp(`^${here[1]}$`, 'm').test(text.slice(text.indexOf('\n') + 1))) return true;
  return (text.split("'").length - 1) % 2 === 1;
}
