/**
 * Every page of the dashboard: a new one is a file with a default export, `(props: PageProps) => JSX`, and a line here. It is loaded when
 * it is first looked at. A page with `tab` is one of the views of a session, and gets a tab beside the others; one with `nav`, a place in
 * the bar at the top.
 *
 * What a page may use, each with its own header:
 *
 *     api.ts            asking the server, types of the contract         use-load.ts     a reply as a signal, reloaded on demand
 *     stream.ts         useStream: where a stream stands, resumed        frames.ts       drawing at most once a frame, within a budget
 *     parts/chart.tsx   lines and stacks over time, with their numbers   parts/table.tsx a table with a caption, sortable, scrolls alone
 *     parts/histogram.tsx  buckets on a logarithmic axis                 parts/bits.tsx  Card, Figures, Steady, StateMark, ProblemNote, Empty
 *     form/schema-form.tsx a form of a JSON schema, problems in place    parts/dialog.tsx Dialog, confirm()
 *     format.ts         units: ns, cycles, Gb/s, bytes, counts           router.ts, location.ts  links, place, go(), setQuery()
 *     shortcuts.ts      keys, listed at `?`                              palette.ts      colours of series and verdicts for a canvas
 *     style/palette.css every colour as a variable, light and dark       tell.ts         a sentence at the edge, read aloud
 */
import type { ComponentType } from 'preact';
import type { Place } from './router.ts';

export interface PageProps {
  /** What stands in the path at the names of `path`. */
  parameters: Readonly<Record<string, string>>;
  place: Place;
}

export interface PageEntry {
  /** `/sessions/:session/live`, behind `#`. */
  path: string;
  /** Of the window; `:session` is replaced by what stands there. */
  title: string;
  load(): Promise<{ default: ComponentType<PageProps> }>;
  /** In the bar at the top. */
  nav?: string;
  /** Among the views of a session; the path has `:session` then. */
  tab?: string;
}

export const PAGES: readonly PageEntry[] = [
  { path: '/', title: 'Sessions', load: () => import('./sessions/page.tsx') },
  { path: '/sessions', title: 'Sessions', nav: 'Sessions', load: () => import('./sessions/page.tsx') },
  { path: '/new', title: 'New session', load: () => import('./sessions/new-page.tsx') },
  { path: '/sessions/:session', title: ':session', tab: 'Live', load: () => import('./live/page.tsx') },
  { path: '/sessions/:session/space', title: ':session, space', tab: 'Space', load: () => import('./space/page.tsx') },
  {
    path: '/sessions/:session/step',
    title: ':session, step by step',
    tab: 'Step',
    load: () => import('./step/page.tsx'),
  },
  { path: '/compare', title: 'Side by side', nav: 'Compare', load: () => import('./compare/page.tsx') },
  { path: '/experiments', title: 'Experiments', nav: 'Experiments', load: () => import('./experiments/page.tsx') },
  { path: '/new-experiment', title: 'New experiment', load: () => import('./experiments/new-page.tsx') },
  { path: '/experiments/:experiment', title: ':experiment', load: () => import('./experiments/one-page.tsx') },
];
