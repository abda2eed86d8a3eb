/** Events made up from a seed, with every field somewhere at its ends, and a plain copy to hold a tape against. */
import { ABSENT, EVENT_KINDS, type EventKind, emptyEvent, type RecordedEvent } from '../../../src/trace/event.ts';

const KINDS = Object.values(EVENT_KINDS);

export function blankEvent(): RecordedEvent {
  return { ...emptyEvent(), line: 1 };
}

/** The same number for the same seed and turn. */
export function dice(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

export function randomEvent(throwDice: (below: number) => number, devices: number, line: number): RecordedEvent {
  const oneOf = (...values: number[]): number => values[throwDice(values.length)] as number;
  return {
    kind: KINDS[throwDice(KINDS.length)] as EventKind,
    timeNs: oneOf(0, -5, throwDice(2 ** 31), 2 ** 52 + throwDice(1000)),
    timePs: oneOf(0, 999, throwDice(1000)),
    cpu: oneOf(ABSENT, 0, throwDice(8192)),
    pid: oneOf(ABSENT, 0, throwDice(4_194_304)),
    device: oneOf(ABSENT, throwDice(devices)),
    domain: oneOf(ABSENT, throwDice(65_536)),
    iovaPage: oneOf(ABSENT, 0, 2 ** 52 - 1, throwDice(2 ** 31)),
    iovaOffset: oneOf(ABSENT, 0, 4095, throwDice(4096)),
    lengthBytes: oneOf(ABSENT, 0, 2 ** 53 - 1, throwDice(2 ** 31)),
    physicalPage: oneOf(ABSENT, 2 ** 40, throwDice(2 ** 31)),
    physicalOffset: oneOf(ABSENT, 4095, throwDice(4096)),
    direction: oneOf(-1, 0, 1, 2, 3),
    write: oneOf(-1, 0, 1),
    detail: oneOf(ABSENT, -12, 2 ** 50, throwDice(2 ** 31)),
    line,
    partner: ABSENT,
    call: ABSENT,
  };
}
