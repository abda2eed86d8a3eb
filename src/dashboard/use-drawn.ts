/** A signal for a component that may wait for its turn: it is drawn again in a frame that has room for it (`frames.ts`). */
import type { ReadonlySignal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { drawer } from './frames.ts';

export function useDrawn<T>(source: ReadonlySignal<T>): T {
  const [drawn, setDrawn] = useState(source.peek());
  useEffect(() => {
    const drawing = drawer(() => setDrawn(source.peek()), 2);
    const stop = source.subscribe(() => drawing.ask());
    return () => {
      stop();
      drawing.end();
    };
  }, [source]);
  return drawn;
}
