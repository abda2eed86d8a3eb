/**
 * What server and workers do to Redis beside BullMQ, a script each, so that nothing comes between its parts. Redis's clock is the only
 * one: those of the machines may differ.
 *
 * Who waits for a job is known (`waiters`), so that one of several may stop waiting, and a job that nobody waits for is not computed.
 * Outcomes lie beside the queue: BullMQ would put each into its stream of events a second time.
 */
import type { Redis } from 'ioredis';
import { BOUNDS, KEYS } from './bounds.ts';

const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000) `;

const SCRIPTS = {
  /** waiters, outcome, job; who, for how long. -> 1 it is there, 0 it is in the queue, -1 nobody knows of it. Says that `who` waits. */
  look: `${NOW}
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end
    return redis.call('EXISTS', KEYS[3]) - 1`,
  /** waiters; who. -> how many wait yet. */
  leave: `${NOW}
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    return redis.call('ZCARD', KEYS[1])`,
  /** waiters, outcome; who, for how long it stays when nobody waits any more. -> the outcome. */
  take: `${NOW}
    local outcome = redis.call('GET', KEYS[2])
    if not outcome then return false end
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
    if redis.call('ZCARD', KEYS[1]) == 0 and redis.call('PTTL', KEYS[2]) > tonumber(ARGV[2]) then
      redis.call('PEXPIRE', KEYS[2], ARGV[2])
    end
    return outcome`,
  /** waiters, job. -> 1 when the job is there and nobody waits for it. After a loss of all data the job is not there, and may be wanted. */
  unwanted: `${NOW}
    if redis.call('EXISTS', KEYS[2]) == 0 then return 0 end
    if redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf') > 0 then return 0 end
    return 1`,
  /** waiters, outcome, tries; how long tries are remembered. -> -1 there is an outcome, -2 nobody waits, else the number of this try. */
  begin: `${NOW}
    if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
    if redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf') == 0 then return -2 end
    local try = redis.call('INCR', KEYS[3])
    redis.call('PEXPIRE', KEYS[3], ARGV[1])
    return try`,
  /** tries: it was begun for nothing, and not by its own fault. */
  forgive: `
    if redis.call('EXISTS', KEYS[1]) == 1 and redis.call('DECR', KEYS[1]) < 1 then redis.call('DEL', KEYS[1]) end`,
  /** outcome, tries, ages, sizes; id, the outcome, how long it stays, prefix of outcomes, how many, how many bytes, longest stay. */
  finish: `${NOW}
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    redis.call('DEL', KEYS[2])
    local size = #ARGV[2]
    local sum = redis.call('HINCRBY', KEYS[4], '', size - (tonumber(redis.call('HGET', KEYS[4], ARGV[1])) or 0))
    redis.call('HSET', KEYS[4], ARGV[1], size)
    redis.call('ZADD', KEYS[3], now, ARGV[1])
    local gone = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[7], 'LIMIT', 0, 100)
    local count = redis.call('ZCARD', KEYS[3])
    while count > #gone and (count - #gone > tonumber(ARGV[5]) or sum > tonumber(ARGV[6])) do
      local oldest = redis.call('ZRANGE', KEYS[3], #gone, #gone)[1]
      if oldest == ARGV[1] then break end
      gone[#gone + 1] = oldest
      sum = sum - (tonumber(redis.call('HGET', KEYS[4], oldest)) or 0)
    end
    for _, id in ipairs(gone) do
      redis.call('DEL', ARGV[4] .. id)
      redis.call('ZREM', KEYS[3], id)
      redis.call('HINCRBY', KEYS[4], '', -(tonumber(redis.call('HGET', KEYS[4], id)) or 0))
      redis.call('HDEL', KEYS[4], id)
    end`,
  /** workers; who, for how long. Says that it lives. */
  beat: `${NOW}
    redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)`,
  /** workers. -> those that live. */
  census: `${NOW} return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', 0, 1000)`,
  /** wait, active, stalled, job; id. Takes a job out of BullMQ's hands, whatever state it is in. */
  discard: `
    redis.call('LREM', KEYS[1], 0, ARGV[1])
    redis.call('LREM', KEYS[2], 0, ARGV[1])
    redis.call('SREM', KEYS[3], ARGV[1])
    redis.call('DEL', KEYS[4], KEYS[4] .. ':lock', KEYS[4] .. ':logs')`,
  /** active; prefix of jobs, a worker's id. -> what it holds. */
  held: `
    local held = {}
    for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, 9999)) do
      local token = redis.pcall('GET', ARGV[1] .. id .. ':lock')
      if type(token) == 'string' and string.sub(token, 1, #ARGV[2]) == ARGV[2] then held[#held + 1] = id end
    end
    return held`,
} as const;

const KEY_COUNTS: { [name in keyof typeof SCRIPTS]: number } = {
  look: 3,
  leave: 1,
  take: 2,
  unwanted: 2,
  begin: 3,
  forgive: 1,
  finish: 4,
  beat: 1,
  census: 1,
  discard: 4,
  held: 1,
};

type Call = (...args: (string | number | Buffer)[]) => Promise<unknown>;

export class Commands {
  private readonly client: Redis;

  constructor(client: Redis) {
    this.client = client;
    for (const [name, lua] of Object.entries(SCRIPTS))
      client.defineCommand(`lab:${name}`, { numberOfKeys: KEY_COUNTS[name as keyof typeof SCRIPTS], lua });
  }

  private call(name: keyof typeof SCRIPTS | 'takeBuffer', ...args: (string | number | Buffer)[]): Promise<unknown> {
    const client = this.client as unknown as Record<string, Call>;
    return (client[`lab:${name}`] as Call).apply(this.client, args);
  }

  async look(id: string, who: string): Promise<'there' | 'queued' | 'unknown'> {
    const found = await this.call('look', KEYS.waiters(id), KEYS.outcome(id), KEYS.job(id), who, BOUNDS.interestMs);
    return found === 1 ? 'there' : found === 0 ? 'queued' : 'unknown';
  }

  /** @returns how many others wait */
  async leave(id: string, who: string): Promise<number> {
    return Number(await this.call('leave', KEYS.waiters(id), who));
  }

  async take(id: string, who: string): Promise<Buffer | null> {
    const bytes = await this.call('takeBuffer', KEYS.waiters(id), KEYS.outcome(id), who, BOUNDS.fetchedMs);
    return Buffer.isBuffer(bytes) ? bytes : null;
  }

  /** An outcome that is none. */
  async forget(id: string): Promise<void> {
    await this.client.del(KEYS.outcome(id));
  }

  async unwanted(id: string): Promise<boolean> {
    return (await this.call('unwanted', KEYS.waiters(id), KEYS.job(id))) === 1;
  }

  /** Tries so far, without this one. */
  async triesOf(id: string): Promise<number> {
    return Number(await this.client.get(KEYS.tries(id))) || 0;
  }

  async begin(id: string): Promise<'has an outcome' | 'unwanted' | number> {
    const keys = [KEYS.waiters(id), KEYS.outcome(id), KEYS.tries(id)];
    const number = Number(await this.call('begin', ...keys, BOUNDS.triesMs));
    return number === -1 ? 'has an outcome' : number === -2 ? 'unwanted' : number;
  }

  async forgive(id: string): Promise<void> {
    await this.call('forgive', KEYS.tries(id));
  }

  async finish(id: string, outcome: Buffer, stayMs: number): Promise<void> {
    const keys = [KEYS.outcome(id), KEYS.tries(id), KEYS.ages, KEYS.sizes];
    const { outcomes, outcomesBytes, outcomeMs } = BOUNDS;
    await this.call('finish', ...keys, id, outcome, stayMs, KEYS.outcomePrefix, outcomes, outcomesBytes, outcomeMs);
  }

  async beat(who: string): Promise<void> {
    await this.call('beat', KEYS.workers, who, BOUNDS.workerMs);
  }

  async goodbye(who: string): Promise<void> {
    await this.client.zrem(KEYS.workers, who);
  }

  async census(): Promise<string[]> {
    return (await this.call('census', KEYS.workers)) as string[];
  }

  async discard(id: string): Promise<void> {
    await this.call('discard', KEYS.job('wait'), KEYS.job('active'), KEYS.job('stalled'), KEYS.job(id), id);
  }

  /** Ids of jobs that BullMQ's worker of that id has taken. */
  async held(worker: string): Promise<string[]> {
    return (await this.call('held', KEYS.job('active'), KEYS.job(''), `${worker}:`)) as string[];
  }

  async stored(id: string): Promise<Record<string, string>> {
    return await this.client.hgetall(KEYS.job(id));
  }
}

/** How a worker calls itself in the census: the jobs that it computes at a time, and a name. */
export function signOf(slots: number, name: string): string {
  return `${slots}:${name}`;
}

/** Nothing but our own signs counts. */
export function slotsOf(sign: string): number {
  const slots = Number(/^([1-9][0-9]{0,3}):/.exec(sign)?.[1] ?? 0);
  return Math.min(slots, 1024);
}
