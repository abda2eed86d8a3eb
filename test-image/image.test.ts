/** The image, built from docker/Dockerfile and run as an engine would run it. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { namedBaseImage, provideBaseImage } from './base-image.ts';
import { buildah, imageConfig, ROOT } from './buildah.ts';
import { Container, newVolume, removeOldVolumes, type Unpacked, unpack } from './container.ts';
import { writeNpmrc } from './npmrc.ts';
import { outcomeOf, requirePrograms, requireRoot } from './programs.ts';
import { startPrometheus } from './prometheus.ts';

requirePrograms('buildah', 'prometheus', 'promtool', 'unshare', 'nsenter');
requireRoot();

const IMAGE = 'localhost/iommu-lab:test';
/** As `-p` would choose it, but for any number of servers at once. */
const OPEN = { IOMMU_LAB_INSECURE: 'true', IOMMU_LAB_PORT: '0', IOMMU_LAB_WORKERS: '1', IOMMU_LAB_LOG_LEVEL: 'warn' };
const START_MS = 60_000;

let image: Unpacked;
const running: Container[] = [];

before(async () => {
  const base = namedBaseImage();
  await timed(`base image ${base.name}`, () => provideBaseImage(base));
  removeOldVolumes();
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-image-'));
  try {
    const npmrc = join(folder, 'npmrc');
    await writeNpmrc(npmrc);
    await timed('build', async () => {
      const dockerfile = join(ROOT, 'docker/Dockerfile');
      const secret = `id=npmrc,src=${npmrc}`;
      await buildah(
        'build',
        '--pull-never',
        '--format',
        'docker',
        '--secret',
        secret,
        '-f',
        dockerfile,
        '-t',
        IMAGE,
        ROOT,
      );
      return `built`;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
  image = await unpack(IMAGE);
  console.log(`image: ${await imageSize(IMAGE)}, of which the base ${await imageSize(base.name)}`);
});

after(async () => {
  for (const container of running) await container.remove();
  removeOldVolumes();
  await image?.remove();
  // The base stays for the next time; what was built is built again then.
  await buildah('rmi', '--force', IMAGE);
});

async function timed(what: string, act: () => Promise<string>): Promise<void> {
  const begun = performance.now();
  const how = await act();
  console.log(`${what}: ${how}, ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}

async function imageSize(name: string): Promise<string> {
  return buildah('images', '--format', '{{.Size}}', name);
}

function start(volume: string, environment: Record<string, string> = OPEN, flags: string[] = []): Container {
  const container = new Container(image, volume, environment, flags);
  running.push(container);
  return container;
}

function post(address: string, path: string, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(`${address}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('what is in the image', () => {
  it('says how it is run: by number and not as root, Node itself as process 1, a health check that needs no shell', async () => {
    const config = await imageConfig(IMAGE);
    assert.match(config.User, /^[1-9][0-9]*:[1-9][0-9]*$/);
    assert.deepEqual([config.Entrypoint, config.Cmd ?? []], [['node', 'dist/main.js'], []]);
    assert.equal(config.Healthcheck.Test[0], 'CMD');
    assert.deepEqual(Object.keys(config.Volumes), ['/data']);
    assert.deepEqual(Object.keys(config.ExposedPorts), ['8080/tcp']);
    assert.equal(config.StopSignal.replace('SIG', ''), 'TERM');
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    assert.equal(config.Labels['org.opencontainers.image.version'], version);
    assert.equal(config.Labels['org.opencontainers.image.licenses'], 'Apache-2.0');
  });

  it('is what the server reads at run time, and no source, test or history', () => {
    assert.deepEqual(readdirSync(join(image.folder, 'app')).sort(), [
      'LICENSE',
      'asyncapi.yaml',
      'dist',
      'healthcheck.mjs',
      'node_modules',
      'openapi.yaml',
      'package.json',
    ]);
    assert.ok(!readdirSync(image.folder).includes('build'));
  });

  it('has the production dependencies of the lock file and nothing else', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'));
    type Entry = { dev?: boolean; optional?: boolean; devOptional?: boolean };
    const wanted = Object.entries(lock.packages as Record<string, Entry>)
      .filter(([path, { dev, optional, devOptional }]) => path !== '' && !dev && !optional && !devOptional)
      .map(([path]) => path);
    const installed = JSON.parse(readFileSync(join(image.folder, 'app/node_modules/.package-lock.json'), 'utf8'));
    assert.ok(wanted.includes('node_modules/fastify'));
    assert.deepEqual(Object.keys(installed.packages).sort(), wanted.sort());
    for (const path of wanted) assert.ok(existsSync(join(image.folder, 'app', path)), path);
  });

  it('belongs to root, but for the volume, which belongs to the user alone', () => {
    const app = statSync(join(image.folder, 'app'));
    const main = statSync(join(image.folder, 'app/dist/main.js'));
    assert.deepEqual([app.uid, main.uid, main.mode & 0o022], [0, 0, 0]);
    const data = statSync(join(image.folder, 'data'));
    assert.deepEqual([`${data.uid}:${data.gid}`, data.mode & 0o777], [image.config.User, 0o700]);
  });
});

describe('a container', () => {
  it('does not start until somebody says that whoever reaches it may use it', async () => {
    const container = start(newVolume(image), {});
    assert.equal(await container.ended(), 1);
    assert.match(container.stderr, /IOMMU_LAB_HOST is "0\.0\.0\.0".*--insecure/);
  });

  it('works with a read-only root file system, as a user without any right, and takes flags', async () => {
    const container = start(newVolume(image), { ...OPEN, IOMMU_LAB_WORKERS: '' }, ['--workers', '2']);
    await container.healthy(START_MS);
    assert.equal(container.status('NSpid').split(/\s+/).at(-1), '1');
    assert.equal(container.status('Uid').split(/\s+/).join(':'), '65532:65532:65532:65532');
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) assert.match(container.status(set), /^0+$/);
    assert.equal(container.status('NoNewPrivs'), '1');
    assert.match(container.execute('sh', '-c', 'echo > /app/here').text, /Read-only file system|Permission denied/);
    assert.equal(container.execute('sh', '-c', 'echo > /tmp/here && echo > /data/here').code, 0);
    assert.match(await (await fetch(`${container.address}/metrics`)).text(), /^iommu_lab_workers 2$/m);
    await container.remove();
  });

  it('serves sessions, documents and the contract; another on the same volume is refused', async () => {
    const volume = newVolume(image);
    const container = start(volume);
    await container.healthy(START_MS);
    const { address } = container;
    assert.equal((await post(address, '/v1/sessions', { preset: 'thread-2008', name: 'first' })).status, 201);
    assert.equal((await post(address, '/v1/sessions/first/runs', { forNs: 1_000_000 })).status, 202);
    for (const path of ['/', '/docs/', '/openapi.yaml', '/readyz', '/v1/catalog', '/v1/sessions/first/metrics']) {
      assert.equal((await fetch(`${address}${path}`)).status, 200, path);
    }
    const page = await (await fetch(`${address}/`, { headers: { accept: 'text/html' } })).text();
    const script = /src="\.(\/ui\/[^"]+\.js)"/.exec(page)?.[1];
    assert.equal((await fetch(`${address}${script}`)).status, 200, 'the dashboard');
    const second = start(volume);
    assert.equal(await second.ended(), 1);
    assert.match(second.stderr, /\/data is in use/);
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    await container.remove();
  });

  it('ends cleanly on SIGTERM, within the time that engines give, and starts again on its volume, after a kill, too', async () => {
    const volume = newVolume(image);
    const ids: string[] = [];
    for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
      const container = start(volume);
      await container.healthy(START_MS);
      const { address } = container;
      const session = await post(address, '/v1/sessions', { preset: 'thread-2008' });
      assert.equal(session.status, 201);
      const { id } = (await session.json()) as { id: string };
      ids.push(id);
      const { items } = (await (await fetch(`${address}/v1/sessions`)).json()) as { items: { id: string }[] };
      assert.deepEqual(
        items.map((each) => each.id),
        ids,
        'those of before are there',
      );
      // A run of a simulated minute, so that it ends in the middle of work.
      assert.equal((await post(address, `/v1/sessions/${id}/runs`, { forNs: 60_000_000_000 })).status, 202);
      container.signal(signal);
      // 0 says that it kept its own limit of 10 s, too: it ends with 1 when it runs out of that.
      const code = await container.ended();
      assert.equal(code === 0, signal === 'SIGTERM', `${signal}: ${code}`);
      assert.equal(existsSync(join(volume, 'server.json')), signal === 'SIGKILL');
    }
  });
});

describe('beside Prometheus', () => {
  it('metrics are what promtool wants, the session is found and scraped, and every alert is evaluated', async () => {
    const container = start(newVolume(image), { ...OPEN, IOMMU_LAB_ALLOWED_HOST: 'server' });
    await container.healthy(START_MS);
    const { address } = container;
    assert.equal((await post(address, '/v1/sessions', { preset: 'thread-2008', name: 'first' })).status, 201);
    const metrics = await (await fetch(`${address}/metrics`)).text();
    const { code, text } = outcomeOf('promtool', ['check', 'metrics'], metrics);
    assert.equal(code, 0, text);

    const prometheus = await startPrometheus(address);
    try {
      await prometheus.until('count(up == 1 and count_over_time(up[1m]) > 3) == 2');
      await post(address, '/v1/sessions/first/runs', { forNs: 2_000_000 });
      await prometheus.until('sum(rate(iommu_iotlb_lookups_total[1m])) > 0');
      assert.deepEqual(await prometheus.alertHealth(), ['ok']);
    } finally {
      await prometheus.stop();
      await container.remove();
    }
  });
});
