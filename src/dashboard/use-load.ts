/**
 * A reply of the server as the state of a component: asked for when `key` changes, when the token does, and on `reload()`. What has been
 * there stays while it is asked for again; a reply that comes too late is dropped.
 *
 *     const sessions = useLoad(() => api.get<SessionPage>('/v1/sessions', filters), JSON.stringify(filters));
 */
import { type Signal, useSignal, useSignalEffect } from '@preact/signals';
import { useCallback, useEffect, useRef } from 'preact/hooks';
import type { Problem } from '../api/contract-types.ts';
import { problemOf } from './api.ts';
import { token } from './token.ts';

export interface Loaded<T> {
  data: Signal<T | null>;
  problem: Signal<Problem | null>;
  loading: Signal<boolean>;
  reload(): Promise<void>;
}

export function useLoad<T>(ask: () => Promise<T>, key: string): Loaded<T> {
  const data = useSignal<T | null>(null);
  const problem = useSignal<Problem | null>(null);
  const loading = useSignal(true);
  const newest = useRef(0);
  const asking = useRef(ask);
  asking.current = ask;

  const reload = useCallback(async () => {
    const mine = ++newest.current;
    loading.value = true;
    try {
      const reply = await asking.current();
      if (mine !== newest.current) return;
      data.value = reply;
      problem.value = null;
    } catch (error) {
      if (mine === newest.current) problem.value = problemOf(error);
    } finally {
      if (mine === newest.current) loading.value = false;
    }
  }, []);

  useEffect(() => {
    data.value = null;
    void reload();
    return () => {
      newest.current++;
    };
  }, [key]);

  const known = useRef(token.peek());
  useSignalEffect(() => {
    if (token.value === known.current) return;
    known.current = token.value;
    void reload();
  });
  return { data, problem, loading, reload };
}
