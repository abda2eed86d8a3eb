/**
 * A kernel command line cut into options, as the kernel cuts it: white space separates, double quotes keep white space together and
 * cannot be escaped, the first `=` ends the name, quotes round a value or a whole option fall away, `--` ends what is the kernel's.
 *
 * Source: Linux `lib/cmdline.c` (`next_arg`) and `kernel/params.c` (`parse_args`; `-` and `_` are the same in a name).
 */

export interface Token {
  /** As it is compared: `-` stands as `_`. */
  name: string;
  /** null without a `=`. */
  value: string | null;
  /** As it stands in the line, for messages. */
  text: string;
}

const SPACE = new Set([' ', '\t', '\n', '\v', '\f', '\r', '\u00a0']);

export function tokensOf(line: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    while (at < line.length && SPACE.has(line[at]!)) at++;
    if (at === line.length) return tokens;
    const begin = at;
    let quoted = false;
    while (at < line.length && (quoted || !SPACE.has(line[at]!))) {
      if (line[at] === '"') quoted = !quoted;
      at++;
    }
    const token = tokenOf(line.slice(begin, at));
    if (token === null) return tokens;
    tokens.push(token);
  }
}

/** @returns null for the `--` that ends the kernel's part */
function tokenOf(text: string): Token | null {
  const whole = text.startsWith('"');
  let rest = whole ? text.slice(1) : text;
  // A name has at least one character: a leading `=` is part of it.
  const equals = rest.indexOf('=', 1);
  if (equals < 0) {
    if (whole && rest.endsWith('"')) rest = rest.slice(0, -1);
    return rest === '--' ? null : { name: rest.replaceAll('-', '_'), value: null, text };
  }
  let value = rest.slice(equals + 1);
  const opens = value.startsWith('"');
  if (opens) value = value.slice(1);
  // Only one quote goes at the end, even where both the option and its value were opened by one.
  if ((opens || whole) && value.endsWith('"')) value = value.slice(0, -1);
  return { name: rest.slice(0, equals).replaceAll('-', '_'), value, text };
}
