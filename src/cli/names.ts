/** The commands, for whoever has to tell them from flags before anything is loaded (`main.ts` at the root, completion). */
export const COMMANDS = [
  'serve',
  'worker',
  'run',
  'compare',
  'repro',
  'replay',
  'trace',
  'catalog',
  'token',
  'completion',
] as const;

export type CommandName = (typeof COMMANDS)[number];

/** Asked for by the scripts of the shells, and shown nowhere. */
export const SUGGEST = 'complete';

/** Parts of the catalog that a person looks into. */
export const SECTIONS = [
  'allocators',
  'policies',
  'modes',
  'devices',
  'workloads',
  'profiles',
  'presets',
  'kernelOptions',
  'experiments',
  'traceFormats',
] as const;

export type Section = (typeof SECTIONS)[number];

export const SHELLS = ['bash', 'zsh', 'fish', 'powershell'] as const;
export type Shell = (typeof SHELLS)[number];

export const TRACE_ACTIONS = ['upload', 'list', 'show', 'delete'] as const;
export type TraceAction = (typeof TRACE_ACTIONS)[number];
