/**
 * What a kernel command line asks of a session: a value for some members of the spec, and warnings about what does not exist, is
 * deprecated, or does not act here. Options that have nothing to do with an IOMMU are passed over in silence.
 *
 * As in the kernel the line is gone over twice: `early` options first, the drivers' own after them, so that `intel_iommu=strict` wins
 * over `iommu.strict=0` wherever the two stand. Within a pass the later option wins.
 */
import { type Asks, FAMILY, harmless, type KernelOption, type Meaning, options, type Target } from './options.ts';
import { type Token, tokensOf } from './tokens.ts';

export type WarningCode =
  | 'unknown-option'
  | 'unknown-value'
  | 'no-value'
  | 'loose-match'
  | 'deprecated'
  | 'no-effect'
  | 'not-modelled'
  | 'differs'
  | 'overruled'
  | 'member-wins';

export interface Warning {
  code: WarningCode;
  /** Name and word, as `amd_iommu=pt`. */
  option: string;
  detail: string;
  /** JSON Pointer of the spec's member that it is about, where there is one. */
  member?: string;
}

export type Asked = { [T in Target]?: { value: Asks[T]; option: string } };

export interface CommandLine {
  asked: Asked;
  warnings: Warning[];
}

const byName = new Map(options.map((option) => [option.name.replaceAll('-', '_'), option]));
/** A slot of swiotlb, and how many of them a request may span: the pool is made of whole segments. */
const SLOT_BYTES = 2048;
const SEGMENT_SLOTS = 128;
/** A line of commas could ask for a thousand. */
const WARNINGS = 100;

export function readCommandLine(line: string): CommandLine {
  const asked: Asked = {};
  const warnings: Warning[] = [];
  const tokens = tokensOf(line);
  for (const late of [false, true])
    for (const token of tokens) {
      const option = byName.get(token.name);
      if (option?.late === late) readOption(option, token, asked, warnings);
      else if (option === undefined && !late && FAMILY.test(token.name) && !harmless.has(token.name))
        warnings.push({
          code: 'unknown-option',
          option: token.text,
          detail: 'no option has that name: it changes nothing',
        });
    }
  return { asked, warnings: warnings.slice(0, WARNINGS) };
}

function readOption(option: KernelOption, token: Token, asked: Asked, warnings: Warning[]): void {
  const { value } = token;
  if (value === null || value === '') {
    const detail = `needs a value, as in ${option.name}=${option.meanings[0]!.word}: it changes nothing`;
    warnings.push({ code: 'no-value', option: token.text, detail });
    return;
  }
  if (option.form === 'switch') {
    const truth = truthOf(value);
    const meaning = option.meanings.find(({ word }) => word === truth);
    if (meaning === undefined) unknown(option, value, 'takes 0 or 1', warnings);
    else take(option, value, meaning, asked, warnings);
  } else if (option.form === 'pool') readPool(option, value, asked, warnings);
  else readList(option, value, asked, warnings);
}

function readList(option: KernelOption, value: string, asked: Asked, warnings: Warning[]): void {
  let ended = '';
  for (const word of value.split(',')) {
    if (word === '') continue;
    if (ended !== '') {
      const detail = `stands after ${ended}, where the kernel stops reading: it changes nothing`;
      warnings.push({ code: 'no-effect', option: `${option.name}=${word}`, detail });
      continue;
    }
    const exact = option.meanings.find((meaning) => meaning.word === word);
    const meaning = exact ?? option.meanings.find((candidate) => word.startsWith(candidate.word));
    // A bare number is the size of the GART's aperture.
    if (meaning === undefined && option.name === 'iommu' && /^\d/.test(word))
      warnings.push({ code: 'no-effect', option: `iommu=${word}`, detail: 'is the size of the GART’s aperture' });
    else if (meaning === undefined) unknown(option, word, 'no such word', warnings);
    else {
      if (exact === undefined && word[meaning.word.length] !== '=') {
        const detail = `the kernel compares only the beginning, so it is taken as ${option.name}=${meaning.word}`;
        warnings.push({ code: 'loose-match', option: `${option.name}=${word}`, detail });
      }
      take(option, word, meaning, asked, warnings);
      if (meaning.ends) ended = `${option.name}=${word}`;
    }
  }
}

/** `swiotlb=<slots>[,<areas>][,force|noforce]`: a number first, or none. */
function readPool(option: KernelOption, value: string, asked: Asked, warnings: Warning[]): void {
  let rest = value;
  const leading = /^(0[xX][0-9a-fA-F]+|\d+)/;
  const slots = leading.exec(rest)?.[0];
  if (slots !== undefined) {
    rest = rest.slice(slots.length);
    const whole = Math.ceil(numberOf(slots) / SEGMENT_SLOTS) * SEGMENT_SLOTS;
    if (whole > 0) {
      const meaning = { word: slots, asks: { poolBytes: whole * SLOT_BYTES } };
      take(option, slots, meaning, asked, warnings);
    }
  }
  if (rest.startsWith(',')) rest = rest.slice(1);
  const areas = leading.exec(rest)?.[0];
  if (areas !== undefined) {
    rest = rest.slice(areas.length);
    const detail = 'areas with locks of their own: the pool here has one';
    warnings.push({ code: 'not-modelled', option: `swiotlb=${slots ?? ''},${areas}`, detail });
  }
  if (rest.startsWith(',')) rest = rest.slice(1);
  if (rest === '') return;
  const meaning = option.meanings.find(({ word }) => word === rest);
  if (meaning === undefined) unknown(option, rest, 'takes a number of slots of 2 KiB, then force or noforce', warnings);
  else take(option, rest, meaning, asked, warnings);
}

/** As C reads it: hexadecimal after 0x, octal after 0. */
function numberOf(digits: string): number {
  if (/^0[xX]/.test(digits)) return Number(digits);
  if (!digits.startsWith('0')) return Number(digits);
  const octal = /^0[0-7]*/.exec(digits)![0];
  return octal === '0' ? 0 : Number.parseInt(octal, 8);
}

/** `1`, `0` or neither, as the kernel reads a truth value: by the first letter, or two for on and off. */
function truthOf(value: string): '0' | '1' | null {
  if (/^[yYtT1]/.test(value) || /^[oO][nN]/.test(value)) return '1';
  if (/^[nNfF0]/.test(value) || /^[oO][fF]/.test(value)) return '0';
  return null;
}

function unknown(option: KernelOption, word: string, because: string, warnings: Warning[]): void {
  const hint = Object.hasOwn(option.hints, word) ? `; what is meant is ${option.hints[word]}` : '';
  const known = option.meanings.map((meaning) => meaning.word).join(', ');
  const detail = `${because}: it changes nothing${hint} (known: ${known})`;
  warnings.push({ code: 'unknown-value', option: `${option.name}=${word}`, detail });
}

function take(option: KernelOption, word: string, meaning: Meaning, asked: Asked, warnings: Warning[]): void {
  const said = `${option.name}=${word}`;
  if (meaning.remark !== undefined) warnings.push({ ...meaning.remark, option: said });
  for (const [target, value] of Object.entries(meaning.asks ?? {})) {
    const before = (asked as Record<string, { value: unknown; option: string } | undefined>)[target];
    if (before !== undefined && before.value !== value) {
      const why =
        option.late && byName.get(before.option.split('=')[0]!)?.late === false ? 'is read after it' : 'stands later';
      warnings.push({ code: 'overruled', option: before.option, detail: `${said} ${why} and wins` });
    }
    Object.assign(asked, { [target]: { value, option: said } });
  }
}
