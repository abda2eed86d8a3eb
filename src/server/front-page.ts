/** `/` where there is no dashboard, or none is asked for: where a person who opens the server's address finds out what it is. */

const LINKS: [href: string, text: string, about: string][] = [
  ['/docs/', 'API reference', 'every route, with its fields and examples'],
  ['/openapi.yaml', 'openapi.yaml', 'the contract itself, OpenAPI 3.1'],
  ['/v1/catalog', 'catalog', 'allocators, policies, devices, workloads, cost profiles and presets'],
  ['/v1/sessions', 'sessions', 'the simulations that this server holds now'],
  ['/healthz', 'healthz', 'whether the process is alive'],
  ['/readyz', 'readyz', 'whether it takes work'],
  ['/metrics', 'metrics', 'for Prometheus'],
];

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.55 system-ui, sans-serif; }
  body { max-width: 46rem; margin: 3rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.6rem; margin-bottom: .25rem; }
  h2 { font-size: 1.1rem; margin-top: 2rem; }
  pre { overflow-x: auto; padding: .9rem 1rem; border-radius: .4rem; background: color-mix(in srgb, currentColor 8%, transparent); }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; }
  dd { margin: 0; }
  @media (max-width: 30rem) { dl { display: block; } dd { margin: 0 0 .5rem; } }`;

/** Creates a session to play with; the same in the start text and on the page. */
export function firstCurl(address: string): string {
  return `curl -s ${address}/v1/sessions -H 'content-type: application/json' -d '{"preset": "thread-2008", "name": "first"}'`;
}

/** The second step of the same story: a simulated millisecond of traffic. */
export function secondCurl(address: string): string {
  return `curl -s ${address}/v1/sessions/first/runs -H 'content-type: application/json' -d '{"forNs": 1000000}'`;
}

/** The same as HTML; also what the dashboard shows where there are no scripts. */
export function firstSteps(address: string): string {
  return `<h2>A first session, and a millisecond of its traffic</h2>
  <pre><code>${escapeHtml(firstCurl(address))}
${escapeHtml(secondCurl(address))}
curl -s ${escapeHtml(address)}/v1/sessions/first/metrics</code></pre>`;
}

/** @param origin of this server as the client knows it, `http://127.0.0.1:8080` @param basePath before all its paths */
export function frontPage(origin: string, basePath = ''): string {
  const address = origin + basePath;
  const links = LINKS.map(
    ([href, text, about]) => `<dt><a href="${basePath}${href}">${text}</a></dt><dd>${about}</dd>`,
  ).join('\n    ');
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>iommu-lab</title>
  <style>${STYLE}
  </style>
</head>
<body>
<main>
  <h1>iommu-lab</h1>
  <p>Long-lived, deterministic simulation sessions of an IOMMU and of the operating-system code that drives it: what a
  DMA-protection policy costs, and what it leaves exposed.</p>
  ${firstSteps(address)}
  <h2>Here</h2>
  <dl>
    ${links}
  </dl>
</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
