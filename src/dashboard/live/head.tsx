/** Name, state, how the stream stands, and what can be done with the session as a whole. */
import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Session } from '../../api/contract-types.ts';
import { figure } from '../format.ts';
import { countFrames, frameFigures } from '../frames.ts';
import { go } from '../location.ts';
import { StateMark, Steady } from '../parts/bits.tsx';
import { SessionActions } from '../sessions/actions.tsx';
import type { StreamState } from '../stream.ts';
import type { LiveStore } from './store.ts';

const WORDS: Record<StreamState['state'], [mark: string, text: string]> = {
  connecting: ['warn', 'connecting'],
  live: ['live', 'stream live'],
  waiting: ['warn', 'stream lost, coming back'],
  ended: ['bad', 'stream ended'],
};

interface HeadProps {
  name: string;
  session: Signal<Session>;
  stream: Signal<StreamState>;
  store: LiveStore;
}

export function Head({ name, session, stream, store }: HeadProps) {
  const { title, id } = session.value;
  const { state, detail } = stream.value;
  const [mark, text] = WORDS[state];
  const active = store.isActive.value;
  const shown = session.value.state === 'idle' && active ? 'running' : session.value.state;
  const isSeen = useSignal(true);
  useEffect(() => {
    const see = () => {
      isSeen.value = !document.hidden;
    };
    document.addEventListener('visibilitychange', see);
    return () => document.removeEventListener('visibilitychange', see);
  }, []);
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{name}</h1>
        <StateMark state={shown === 'running' && !active ? 'idle' : shown} />
        <StateMark state={mark} text={text} />
        {isSeen.value && <FrameRate />}
        <div class="end">
          <SessionActions session={session.value} onDeleted={() => go('/sessions')} />
        </div>
      </div>
      {title !== undefined && <p class="faint">{title}</p>}
      {detail !== '' && <p class={state === 'ended' ? 'note bad' : 'note warn'}>{detail}</p>}
      <p class="hidden-text">Session {id}</p>
    </>
  );
}

/** What the browser shows, and what drawing costs of the 16.7 ms that a frame has. */
function FrameRate() {
  useEffect(() => countFrames(), []);
  const now = frameFigures.value;
  if (now === null) return null;
  return (
    <span
      class="faint small"
      title="Frames a second, and the longest that one with charts in it took of the main thread"
    >
      <Steady text={`${Math.round(now.framesPerSecond)} frames/s · ${figure(now.longestMs)} ms`} />
    </span>
  );
}
