/**
 * Runs an image as this command of an engine would, of which there may be none:
 *
 *   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network host -v <volume>:/data <image>
 *
 * Mounts, process ids and user are those of a container: the root file system is read-only, the server is process 1, has the image's
 * user and environment, no capability, and cannot get one. The network is the machine's. User, environment, command, working folder and
 * volume are read from the image and nowhere else.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { buildah, CACHE, type ImageConfig, imageConfig } from './buildah.ts';
import { type Outcome, outcomeOf } from './programs.ts';

/** A container's root file system; many processes may run on it, one after the other. */
export interface Unpacked {
  folder: string;
  config: ImageConfig;
  remove(): Promise<void>;
}

export async function unpack(image: string): Promise<Unpacked> {
  const container = await buildah('from', '--pull-never', image);
  const folder = await buildah('mount', container);
  return { folder, config: await imageConfig(image), remove: async () => void (await buildah('rm', container)) };
}

/** A new named volume, with the owner and rights that the image gives the place, as engines do. */
export function newVolume({ folder, config }: Unpacked): string {
  const place = statSync(join(folder, onlyVolume(config)));
  const volume = mkdtempSync(join(CACHE, 'volume-'));
  chownSync(volume, place.uid, place.gid);
  chmodSync(volume, place.mode & 0o7777);
  return volume;
}

function onlyVolume({ Volumes }: ImageConfig): string {
  const [place, ...others] = Object.keys(Volumes);
  if (place === undefined || others.length > 0) throw new Error(`the image has volumes ${Object.keys(Volumes)}`);
  return place;
}

/** In its own mount namespace; $1 root, $2 volume, $3 its place, the rest the command. */
const ENTER = `
  set -e
  root=$1 volume=$2 place=$3
  shift 3
  mount --make-rprivate /
  mount --bind "$root" "$root"
  mount -t tmpfs -o size=64m,mode=1777,noexec,nosuid,nodev tmpfs "$root/tmp"
  mount --bind "$volume" "$root$place"
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o size=64k,mode=755 tmpfs "$root/dev"
  for device in null zero random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  mount -o remount,bind,ro "$root"
  exec chroot "$root" "$@"
`;

const POLL_MS = 50;

export class Container {
  private readonly child: ChildProcess;
  private readonly config: ImageConfig;
  private readonly volume: string;
  stdout = '';
  stderr = '';

  constructor({ folder, config }: Unpacked, volume: string, environment: Record<string, string>, flags: string[] = []) {
    this.config = config;
    this.volume = volume;
    const command = [...asUser(config, environment), ...config.Entrypoint, ...(config.Cmd ?? []), ...flags];
    const namespaces = ['--mount', '--pid', '--fork', '--ipc', '--uts'];
    this.child = spawn(
      'unshare',
      [...namespaces, 'sh', '-c', ENTER, 'sh', folder, volume, onlyVolume(config), ...command],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.child.stdout?.on('data', (bytes) => (this.stdout += bytes));
    this.child.stderr?.on('data', (bytes) => (this.stderr += bytes));
  }

  /** Process 1 of the container, by the machine's number; null before there is one, and after. */
  get pid(): number | null {
    const outer = this.child.pid as number;
    const children = `/proc/${outer}/task/${outer}/children`;
    // 0 would be this process' own group.
    return existsSync(children) ? Number(readFileSync(children, 'utf8')) || null : null;
  }

  /** Its line of /proc/.../status, for example `CapEff`. */
  status(name: string): string {
    const lines = readFileSync(`/proc/${this.pid}/status`, 'utf8').split('\n');
    return (lines.find((line) => line.startsWith(`${name}:`)) ?? '').slice(name.length + 1).trim();
  }

  /** Runs a command in it, as `docker exec` does: same user, same rights. */
  execute(...command: string[]): Outcome {
    if (this.pid === null) return { code: null, text: 'the container does not run' };
    return outcomeOf('nsenter', [
      ...['--target', String(this.pid), '--mount', '--pid', '--root', '--wd'],
      ...asUser(this.config, {}),
      ...command,
    ]);
  }

  /** Its health check, asked again until it passes. */
  async healthy(limitMs: number): Promise<void> {
    const [form, ...command] = this.config.Healthcheck.Test;
    if (form !== 'CMD') throw new Error(`the health check is of the form ${form}, which takes a shell`);
    const deadline = performance.now() + limitMs;
    for (;;) {
      if (this.child.exitCode !== null) throw new Error(`the server ended:\n${this.stdout}\n${this.stderr}`);
      const { code, text } = this.execute(...command);
      if (code === 0) return;
      if (performance.now() > deadline) throw new Error(`not healthy: ${text}\n${this.stdout}\n${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Where it listens, as it says itself in its volume. */
  get address(): string {
    return JSON.parse(readFileSync(join(this.volume, 'server.json'), 'utf8')).address;
  }

  /** To process 1, which the kernel spares what it has not asked for, but for SIGKILL. */
  signal(name: NodeJS.Signals): void {
    if (this.pid !== null) process.kill(this.pid, name);
  }

  /** The exit code of process 1; some code other than 0 where a signal ended it (`unshare` 2.38 says 1 of SIGKILL). */
  async ended(): Promise<number> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
    return child.exitCode ?? 128 + constants.signals[child.signalCode as NodeJS.Signals];
  }

  async remove(): Promise<void> {
    // Not `unshare`, which the kernel no longer ties to a process that has changed its user.
    this.signal('SIGKILL');
    await this.ended();
  }
}

/** The words before a command that give it the image's user, environment and working folder, and take everything else away. */
function asUser({ User, Env, WorkingDir }: ImageConfig, environment: Record<string, string>): string[] {
  const [uid = '', gid = ''] = User.split(':');
  const variables = [...Env, 'HOME=/', ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)];
  return [
    ...['setpriv', '--reuid', uid, '--regid', gid, '--clear-groups', '--no-new-privs'],
    ...['--bounding-set=-all', '--inh-caps=-all', '--ambient-caps=-all'],
    ...['env', '-i', '-C', WorkingDir, ...variables],
  ];
}

/** Leftovers of runs that were ended from outside. */
export function removeOldVolumes(): void {
  for (const name of readdirSync(CACHE).filter((entry) => entry.startsWith('volume-')))
    rmSync(join(CACHE, name), { recursive: true, force: true });
}
