/** A session while it runs. */
import type { PageProps } from '../pages.ts';
import { SessionTabs } from '../parts/session-tabs.tsx';

export default function LivePage({ parameters }: PageProps) {
  const session = parameters.session as string;
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>{session}</h1>
      </div>
      <SessionTabs session={session} />
    </>
  );
}
