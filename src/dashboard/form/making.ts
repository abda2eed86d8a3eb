/** What is made of a document: the server checks it while it is written (`validateOnly`), and makes it when it is sent. */
import { type Signal, useSignal, useSignalEffect } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { Problem } from '../../api/contract-types.ts';
import { api, problemOf } from '../api.ts';
import { setQuery } from '../location.ts';
import { packSpec, type Spec } from '../sessions/spec.ts';
import { token } from '../token.ts';

export interface MakingParts<Made, Checked> {
  /** To which it is posted. */
  route: string;
  /** What the page begins with. */
  first: Spec;
  /** Member of the address that has the document, and what it said; that stays where the document is too long for it. */
  member: string;
  given: string | undefined;
  /** How long nothing more must be written before it is checked. */
  afterMs: number;
  /** What is known all the same of one that is refused from the beginning. */
  fallback?(asked: Spec): Promise<Checked>;
  whenMade(made: Made): void;
}

export interface Making<Checked> {
  document: Signal<Spec>;
  /** As it was accepted last. */
  checked: Signal<Checked | null>;
  /** What is wrong now. */
  problem: Signal<Problem | null>;
  busy: Signal<boolean>;
  make(): Promise<void>;
}

export function useMaking<Made, Checked>(parts: MakingParts<Made, Checked>): Making<Checked> {
  const { route, member, given, afterMs, fallback, whenMade } = parts;
  const document = useSignal<Spec>(parts.first);
  const checked = useSignal<Checked | null>(null);
  const problem = useSignal<Problem | null>(null);
  const busy = useSignal(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const newest = useRef(0);

  useSignalEffect(() => {
    const asked = document.value;
    void token.value;
    // At once when the page comes: its fields show what holds where nothing is given.
    timer.current = setTimeout(() => void check(asked), newest.current === 0 ? 0 : afterMs);
    return () => clearTimeout(timer.current);
  });

  async function check(asked: Spec): Promise<void> {
    const mine = ++newest.current;
    setQuery({ [member]: packSpec(asked) ?? given });
    try {
      const reply = await api.post<Checked>(route, asked, { validateOnly: true });
      if (mine !== newest.current) return;
      checked.value = reply;
      problem.value = null;
    } catch (error) {
      if (mine !== newest.current) return;
      problem.value = problemOf(error);
      if (checked.peek() !== null || fallback === undefined) return;
      try {
        checked.value = await fallback(asked);
      } catch {
        // What is wrong has been said.
      }
    }
  }

  async function make(): Promise<void> {
    busy.value = true;
    // A check that came behind would find the name taken, by what is being made.
    clearTimeout(timer.current);
    try {
      whenMade(await api.post<Made>(route, document.value));
    } catch (error) {
      problem.value = problemOf(error);
    } finally {
      busy.value = false;
    }
  }

  return { document, checked, problem, busy, make };
}
