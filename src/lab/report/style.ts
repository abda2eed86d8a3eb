/**
 * The style sheet of the report: light, dark and paper, wide and narrow. Colours of plots are variables here.
 *
 * The ten colours are told apart with the common forms of colour blindness: Okabe and Ito's, darkened for white paper and lightened for
 * dark screens where they had too little contrast.
 */
import { hash } from 'node:crypto';

const LIGHT = `
    --paper: #ffffff; --ink: #1b1f24; --muted: #57606a; --grid: #d0d7de; --shade: #f6f8fa; --accent: #0b5cad; --mark: #fff4d6;
    --c1: #0b6cb5; --c2: #d55e00; --c3: #00805f; --c4: #b0457f; --c5: #c98a00; --c6: #56707f; --c7: #4aa8dc; --c8: #7d4fb0; --c9: #6f7d1f; --c10: #b9c0c8;`;
const DARK = `
    --paper: #0f1419; --ink: #e6e9ee; --muted: #9aa5b1; --grid: #3a434d; --shade: #1a2129; --accent: #7bb8f5; --mark: #3b3014;
    --c1: #58aef0; --c2: #f08a4b; --c3: #2fbf95; --c4: #e58fbd; --c5: #eab84a; --c6: #a3b4c2; --c7: #8fd3f7; --c8: #b595e3; --c9: #b5c35a; --c10: #4d5762;`;

export const STYLE = `
  :root { color-scheme: light dark; ${LIGHT} }
  @media screen and (prefers-color-scheme: dark) { :root { ${DARK} } }
  * { box-sizing: border-box; }
  body { margin: 0 auto; padding: 1rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 78rem; background: var(--paper); color: var(--ink);
    font: 1rem/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; overflow-wrap: break-word; }
  h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 0.3rem; }
  h2 { font-size: 1.25rem; margin: 2.5rem 0 0.6rem; padding-top: 0.6rem; border-top: 1px solid var(--grid); }
  h3 { font-size: 1.05rem; margin: 1.5rem 0 0.4rem; }
  p, li { max-width: 46rem; }
  .about { color: var(--muted); margin: 0 0 1rem; }
  .partial { background: var(--mark); border-left: 0.3rem solid var(--c5); padding: 0.6rem 1rem; max-width: none; }
  .scroll { overflow-x: auto; margin: 0.8rem 0; }
  .scroll:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
  table { border-collapse: collapse; font-size: 0.875rem; line-height: 1.35; font-variant-numeric: tabular-nums; }
  caption { text-align: left; color: var(--muted); padding: 0 0 0.5rem; max-width: 46rem; }
  th, td { padding: 0.35rem 0.5rem; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; }
  thead th { border-bottom: 2px solid var(--muted); vertical-align: bottom; font-weight: 600; }
  thead .group { text-align: center; border-bottom: 1px solid var(--grid); color: var(--muted); }
  tbody th { font-weight: 600; min-width: 7rem; }
  td.n, th.n { text-align: right; }
  td.n { white-space: nowrap; }
  tr.apart td, tr.apart th { background: var(--shade); }
  .id { color: var(--muted); font-weight: 400; display: block; font-size: 0.8rem; }
  .spread { color: var(--muted); display: block; font-size: 0.8rem; white-space: nowrap; }
  figure { margin: 1.2rem 0 1.6rem; }
  figure svg { display: block; width: 100%; min-width: 40rem; max-width: 62rem; height: auto; }
  figcaption { color: var(--muted); font-size: 0.9rem; max-width: 46rem; margin-top: 0.4rem; }
  figcaption strong { color: var(--ink); display: block; }
  pre, code { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, monospace; font-size: 0.8rem; }
  pre { background: var(--shade); padding: 0.7rem 0.9rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: 0.4rem 0; }
  td code { overflow-wrap: anywhere; }
  td.wide { min-width: 14rem; }
  @media print {
    @page { size: A4; margin: 14mm 12mm; }
    :root { font-size: 9pt; }
    body { max-width: none; padding: 0; }
    h2, h3, caption { break-after: avoid; }
    .scroll { overflow: visible; }
    table { font-size: 7.2pt; width: 100%; }
    th, td { padding: 0.15rem 0.22rem; }
    tbody th, td:not(.n) { overflow-wrap: anywhere; min-width: 4.5em; }
    .spread, td.n { white-space: normal; }
    .spread, .id { font-size: 6.4pt; }
    tr, figure { break-inside: avoid; }
    thead { display: table-header-group; }
    figure svg { min-width: 0; max-width: 100%; max-height: 230mm; }
    pre, code { font-size: 7pt; }
    p, li, caption, figcaption { max-width: none; }
  }
`;

/** All that the document needs: its own style, and nothing from anywhere. For its own `meta`, and for who serves it. */
export const CONTENT_SECURITY_POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; base-uri 'none'; form-action 'none'`;
