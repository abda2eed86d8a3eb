/** What is inside, with what the last step changed: walk, IOTLB by set and way, walk caches, queues, allocator. */
import type { Iotlb } from '../../api/contract-types.ts';
import { bytes, count, duration } from '../format.ts';
import { Card, Empty } from '../parts/bits.tsx';
import { stateEntry } from '../space/states.ts';
import { type Change, compared, membersOf } from './compared.ts';
import type { Focus, Look } from './looks.ts';

const SIGN: Record<Change, string> = { new: '+', gone: '−', changed: '~', same: '' };
const SPOKEN: Record<Change, string> = { new: 'new', gone: 'gone', changed: 'changed', same: '' };

/** A sign beside a colour, and a word for who hears it. */
function Sign({ change }: { change: Change }) {
  return (
    <span class="step-sign">
      <span aria-hidden="true">{SIGN[change]}</span>
      {change !== 'same' && <span class="hidden-text">{SPOKEN[change]}</span>}
    </span>
  );
}

const classOf = (change: Change) => (change === 'same' ? undefined : `change-${change}`);

export function Inside({ before, now, focus }: { before: Look | null; now: Look; focus: Focus | null }) {
  return (
    <div class="step-inside">
      <Walk before={before} now={now} focus={focus} />
      <Tlb title="IOTLB" before={before?.iotlb} now={now.iotlb} />
      {(now.iotlb.devices as (Iotlb & { device: string })[] | undefined)?.map((tlb) => (
        <Tlb
          key={tlb.device}
          title={`TLB of ${tlb.device}`}
          before={(before?.iotlb.devices as (Iotlb & { device: string })[] | undefined)?.find(
            ({ device }) => device === tlb.device,
          )}
          now={tlb}
        />
      ))}
      <WalkCaches before={before} now={now} />
      <FlushQueue before={before} now={now} />
      <Members
        title="Invalidation queue"
        before={before?.queues.invalidation}
        now={now.queues.invalidation}
        empty="No queue."
      />
      <Members
        title="Allocator"
        before={before?.allocator}
        now={now.allocator}
        skip={['domain']}
        empty="No domain yet."
      />
      {now.page !== null && <Page before={before} now={now} />}
    </div>
  );
}

function Walk({ before, now, focus }: { before: Look | null; now: Look; focus: Focus | null }) {
  const { walk } = now;
  const rows =
    walk === null
      ? []
      : compared(sameAddress(before, now) ? before?.walk?.entries : undefined, walk.entries, ({ level }) =>
          String(level),
        );
  return (
    <Card title="Page table walk" end={focus !== null && <code class="small">{focus.iova}</code>}>
      {walk === null ? (
        <Empty>Give an address to look at, or map something.</Empty>
      ) : (
        <>
          <div class="scroll">
            <table class="tight">
              <caption class="hidden-text">The walk of {walk.iova}, root first</caption>
              <thead>
                <tr>
                  <th scope="col">level</th>
                  <th scope="col">table</th>
                  <th scope="col" class="number">
                    index
                  </th>
                  <th scope="col">entry</th>
                </tr>
              </thead>
              <tbody>
                {rows
                  .sort((a, b) => b.thing.level - a.thing.level)
                  .map(({ thing, change }) => (
                    <tr key={thing.level} class={classOf(change)}>
                      <th scope="row">
                        <Sign change={change} />
                        {thing.level}
                      </th>
                      <td>
                        <code>{thing.table}</code>
                      </td>
                      <td class="number">{thing.index}</td>
                      <td>
                        {thing.present ? (
                          thing.next === undefined ? (
                            `leaf, ${thing.access}`
                          ) : (
                            <code>{thing.next}</code>
                          )
                        ) : (
                          'not present'
                        )}
                      </td>
                    </tr>
                  ))}
              </tbody>
            </table>
          </div>
          <p class="small">
            {walk.present ? (
              <>
                It reaches <code>{walk.physicalAddress}</code>, {walk.pageSize}, {walk.access}.
              </>
            ) : (
              `Nothing is there${walk.reason === undefined ? '' : `: ${walk.reason}`}: a walk ends in a fault.`
            )}
          </p>
        </>
      )}
    </Card>
  );
}

const sameAddress = (before: Look | null, now: Look) =>
  before?.walk?.iova === now.walk?.iova && before?.walk?.domain === now.walk?.domain;

/** The sets that have anything, or had; the rest in a sentence. */
function Tlb({ title, before, now }: { title: string; before: Iotlb | undefined; now: Iotlb }) {
  const { sets = 1, ways = 1, capacity } = now as Iotlb & { sets?: number; ways?: number; capacity?: number };
  const entries = compared(before?.entries, now.entries, ({ set, way }) => `${set} ${way}`);
  const used = [...new Set(entries.map(({ thing }) => thing.set))].sort((a, b) => a - b);
  // Fully associative, or nearly: as many columns as can be seen, in the order of ways.
  const columns = Math.min(ways, 8);
  return (
    <Card
      title={title}
      end={
        <span class="faint small">{`${count(now.entries.length)} of ${count(capacity ?? 0)}, ${count(sets)} sets of ${count(ways)}`}</span>
      }
    >
      {used.length === 0 ? (
        <Empty>Nothing is cached.</Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: whoever has no mouse scrolls it by keys
        <section class="scroll tlb" aria-label={`${title}, by set and way`} tabIndex={0}>
          {used.map((set) => (
            <div
              class="set"
              key={set}
              style={{ gridTemplateColumns: `3.2rem repeat(${columns}, minmax(5.4rem, 1fr))` }}
            >
              <span class="name">set {set}</span>
              {slotsOf(
                entries.filter(({ thing }) => thing.set === set),
                ways,
              ).map(({ way, found }) =>
                found === undefined ? (
                  <span key={way} class="slot empty">
                    <span class="hidden-text">way {way} empty</span>
                  </span>
                ) : (
                  <span
                    key={way}
                    class={`slot ${classOf(found.change) ?? ''} ${found.change !== 'gone' && found.thing.stale ? 'stale' : ''}`}
                    title={`${found.thing.domain}, ${found.thing.pageSize}, ${found.thing.access}`}
                  >
                    <Sign change={found.change} />
                    <code>{found.thing.iova}</code>
                    <br />
                    {found.change === 'gone' ? (
                      'gone'
                    ) : (
                      <>
                        to <code>{found.thing.physicalAddress}</code>
                      </>
                    )}
                    {found.change !== 'gone' && found.thing.stale ? ' stale' : ''}
                  </span>
                ),
              )}
            </div>
          ))}
        </section>
      )}
    </Card>
  );
}

/** Of a set with few ways each of them; of one with many those that are used. */
function slotsOf<Found extends { thing: { way: number }; change: Change }>(found: Found[], ways: number) {
  if (ways > 8)
    return found.sort((a, b) => a.thing.way - b.thing.way).map((each) => ({ way: each.thing.way, found: each }));
  return Array.from({ length: ways }, (_, way) => ({ way, found: found.find(({ thing }) => thing.way === way) }));
}

function WalkCaches({ before, now }: { before: Look | null; now: Look }) {
  const rows = compared(
    before?.walkCache.entries,
    now.walkCache.entries,
    ({ tableLevel, domain, iova }) => `${tableLevel} ${domain} ${iova}`,
  );
  return (
    <Card
      title="Walk caches"
      end={
        <span class="faint small">
          {(now.walkCache.levels ?? []).map(({ capacity }) => count(capacity ?? 0)).join(' + ')} entries
        </span>
      }
    >
      {rows.length === 0 ? (
        <Empty>No path is cached.</Empty>
      ) : (
        <div class="scroll">
          <table class="tight">
            <caption class="hidden-text">Cached paths to tables</caption>
            <thead>
              <tr>
                <th scope="col">to level</th>
                <th scope="col">from</th>
                <th scope="col">span</th>
                <th scope="col">table</th>
                <th scope="col" />
              </tr>
            </thead>
            <tbody>
              {rows.map(({ thing, change }) => (
                <tr key={`${thing.tableLevel} ${thing.iova} ${thing.domain}`} class={classOf(change)}>
                  <th scope="row">
                    <Sign change={change} />
                    {thing.tableLevel}
                  </th>
                  <td>
                    <code>{thing.iova}</code>
                  </td>
                  <td>{bytes(thing.spanBytes)}</td>
                  <td>
                    <code>{thing.table}</code>
                  </td>
                  <td>{thing.stale ? 'its table was freed' : ''}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

interface Waiting {
  domain: string;
  iova: string;
  lengthBytes: number;
}

function FlushQueue({ before, now }: { before: Look | null; now: Look }) {
  const flush = now.queues.flush as Look['queues']['flush'] & { items?: Waiting[]; capacity?: number };
  const was = (before?.queues.flush as { items?: Waiting[] } | undefined)?.items;
  const rows = compared(was, flush.items ?? [], ({ domain, iova }) => `${domain} ${iova}`);
  return (
    <Card
      title="Flush queue"
      end={
        <span class="faint small">
          {flush.policy}, {count(flush.entries)}
          {flush.capacity ? ` of ${count(flush.capacity)}` : ''}
        </span>
      }
    >
      {rows.length === 0 ? (
        <Empty>Nothing waits for a flush.</Empty>
      ) : (
        <div class="scroll">
          <table class="tight">
            <caption class="hidden-text">Unmapped ranges that wait for a flush</caption>
            <thead>
              <tr>
                <th scope="col">from</th>
                <th scope="col">length</th>
                <th scope="col">domain</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, 40).map(({ thing, change }) => (
                <tr key={`${thing.domain} ${thing.iova}`} class={classOf(change)}>
                  <th scope="row">
                    <Sign change={change} />
                    <code>{thing.iova}</code>
                  </th>
                  <td>{bytes(thing.lengthBytes)}</td>
                  <td>
                    <code>{thing.domain}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {rows.length > 40 && <p class="faint small">and {count(rows.length - 40)} more</p>}
        </div>
      )}
    </Card>
  );
}

function Members({
  title,
  before,
  now,
  skip = [],
  empty,
}: {
  title: string;
  before: object | null | undefined;
  now: object | null;
  skip?: readonly string[];
  empty: string;
}) {
  const rows = membersOf(before, now, skip);
  return (
    <Card title={title}>
      {rows.length === 0 ? (
        <Empty>{empty}</Empty>
      ) : (
        <table class="tight">
          <caption class="hidden-text">{title}</caption>
          <thead>
            <tr>
              <th scope="col">member</th>
              <th scope="col" class="number">
                before
              </th>
              <th scope="col" class="number">
                now
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ name, before: was, now: is, change }) => (
              <tr key={name} class={classOf(change)}>
                <th scope="row">
                  <Sign change={change} />
                  {name}
                </th>
                <td class="number">{change === 'same' ? '' : was}</td>
                <td class="number">{is}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function Page({ before, now }: { before: Look | null; now: Look }) {
  const { page } = now;
  if (page === null) return null;
  const was = sameAddress(before, now) ? before?.page : null;
  const entry = stateEntry(page.state);
  return (
    <Card title="The page">
      <p>
        <strong>{entry.name}</strong>
        {was !== null && was !== undefined && was.state !== page.state ? `, before: ${stateEntry(was.state).name}` : ''}
      </p>
      <p class="faint small">{entry.about}.</p>
      <dl class="space-readout">
        {page.lastMapNs !== undefined && (
          <>
            <dt>last mapped</dt>
            <dd>at {duration(page.lastMapNs)}</dd>
          </>
        )}
        {page.lastUnmapNs !== undefined && (
          <>
            <dt>last unmapped</dt>
            <dd>at {duration(page.lastUnmapNs)}</dd>
          </>
        )}
        <dt>open windows</dt>
        <dd>{count(page.openWindows)}</dd>
      </dl>
    </Card>
  );
}
