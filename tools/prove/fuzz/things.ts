/** Ids, addresses and cursors that requests may name: those that sessions start out with, and those that replies have told since. */
import type { Dice } from '../dice.ts';

/** Of each kind so many are remembered; newer ones take the place of the oldest. */
const REMEMBERED = 48;
/** Replies are searched no further than this: the ids of a long list are no better than those of a short one. */
const SEARCHED_CHARACTERS = 4_096;

const KIND_OF_PREFIX: Readonly<Record<string, string>> = {
  ses: 'session',
  ten: 'tenant',
  dom: 'domain',
  dev: 'device',
  buf: 'buffer',
  map: 'mapping',
  wl: 'workload',
  run: 'run',
  gra: 'grant',
  lnk: 'link',
  tok: 'token',
};
const TOLD = /"(id|nextCursor|iova|physicalAddress|ticket|epoch)":"([^"\\]{1,200})"/g;
/** Members that are called otherwise than the kind of thing that they name. */
const KIND_OF_MEMBER: Readonly<Record<string, string>> = {
  nextCursor: 'cursor',
  start: 'iova',
  end: 'iova',
  iovaStart: 'iova',
};

export class Things {
  private readonly told = new Map<string, string[]>();
  private readonly next = new Map<string, number>();
  /** Never remembered: what the fuzz itself cannot do without. */
  private readonly spared: ReadonlySet<string>;
  private readonly given: Readonly<Record<string, readonly string[]>>;

  /** @param given always there, by kind */
  constructor(given: Readonly<Record<string, readonly string[]>>, spared: Iterable<string> = []) {
    this.given = given;
    this.spared = new Set(spared);
  }

  /** @returns null when nothing of that kind is known */
  choose(member: string, dice: Dice): string | null {
    const kind = KIND_OF_MEMBER[member] ?? member;
    const given = this.given[kind];
    const told = this.told.get(kind);
    if (given !== undefined && (told === undefined || dice(10) < 6)) return given[dice(given.length)]!;
    return told === undefined ? null : told[dice(told.length)]!;
  }

  /** Takes note of what a reply names. */
  learn(body: string): void {
    for (const [, member, value] of body.slice(0, SEARCHED_CHARACTERS).matchAll(TOLD)) {
      if (this.spared.has(value!)) continue;
      if (member !== 'id') this.remember(KIND_OF_MEMBER[member!] ?? member!, value!);
      else {
        const kind = KIND_OF_PREFIX[value!.slice(0, value!.indexOf('_'))];
        if (kind !== undefined) this.remember(kind, value!);
      }
    }
  }

  private remember(kind: string, value: string): void {
    const values = this.told.get(kind);
    if (values === undefined) {
      this.told.set(kind, [value]);
      return;
    }
    const at = this.next.get(kind) ?? values.length % REMEMBERED;
    values[at] = value;
    this.next.set(kind, (at + 1) % REMEMBERED);
  }
}
