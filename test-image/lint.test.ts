/** The files of docker/, held against the rules of those who read them. Each checker is seen to complain, too. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ROOT } from './buildah.ts';
import { type Outcome, outcomeOf, requirePrograms } from './programs.ts';

requirePrograms('promtool');

const docker = join(ROOT, 'docker');
const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-lint-'));
after(() => rmSync(folder, { recursive: true }));

function compose(file: string): Outcome {
  return outcomeOf(join(ROOT, 'node_modules/.bin/dclint'), [
    ...['--config', join(docker, '.dclintrc.yaml'), '--max-warnings', '0', '--color', 'false'],
    file,
  ]);
}

function dockerfile(file: string): Outcome {
  return outcomeOf(join(ROOT, 'node_modules/.bin/dockerfile-utils'), ['lint', file]);
}

function promtool(...args: string[]): Outcome {
  return outcomeOf('promtool', ['check', ...args]);
}

/** A copy of a file of docker/ with something changed in it. */
function altered(name: string, from: string, to: string): string {
  const text = readFileSync(join(docker, name), 'utf8');
  assert.ok(text.includes(from), `${name} no longer has "${from}"`);
  const copy = join(folder, name.replaceAll('/', '-'));
  writeFileSync(copy, text.replace(from, to));
  return copy;
}

describe('compose.yaml', () => {
  it('is what dclint wants', () => {
    const { code, text } = compose(join(docker, 'compose.yaml'));
    assert.equal(code, 0, text);
  });

  it('with a misspelt key is refused', () => {
    const { code, text } = compose(altered('compose.yaml', 'stop_grace_period:', 'stop_grace_time:'));
    assert.notEqual(code, 0);
    assert.match(text, /services\/server.*additional properties/);
  });
});

describe('the Dockerfile', () => {
  it('is what dockerfile-utils wants', () => {
    const { code, text } = dockerfile(join(docker, 'Dockerfile'));
    assert.equal(code, 0, text);
    assert.equal(text.trim(), '');
  });

  it('with an unknown instruction is refused', () => {
    const { text } = dockerfile(altered('Dockerfile', 'STOPSIGNAL ', 'STOPSIGN '));
    assert.match(text, /STOPSIGN/);
  });
});

describe("Prometheus' configuration", () => {
  it('is what promtool wants', () => {
    const { code, text } = promtool('config', join(docker, 'prometheus/prometheus.yml'));
    assert.equal(code, 0, text);
  });

  it('with a misspelt alert is refused', () => {
    const { code } = promtool('rules', altered('prometheus/alerts.yml', 'expr: up', 'expr: up{'));
    assert.notEqual(code, 0);
  });
});
