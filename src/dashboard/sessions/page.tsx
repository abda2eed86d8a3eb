/** The sessions that the server holds: filters and pages as the API has them, both in the address. */
import { useEffect } from 'preact/hooks';
import type { Catalog, Session, SessionPage as SessionList } from '../../api/contract-types.ts';
import { api } from '../api.ts';
import { count, duration, instant } from '../format.ts';
import type { PageProps } from '../pages.ts';
import { Empty, ProblemNote, StateMark } from '../parts/bits.tsx';
import { Table } from '../parts/table.tsx';
import { hashOf } from '../router.ts';
import { useLoad } from '../use-load.ts';
import { SessionActions } from './actions.tsx';
import { Filters, filterOf } from './filters.tsx';
import { ImportButton } from './import-button.tsx';

const PER_PAGE = 50;
/** Looked at again, while the page is seen. */
const AGAIN_MS = 3_000;

export default function SessionsPage({ place: { query } }: PageProps) {
  const filter = filterOf(query);
  const sessions = useLoad(
    () => api.get<SessionList>('/v1/sessions', { ...filter, limit: PER_PAGE, cursor: query.cursor }),
    JSON.stringify([filter, query.cursor]),
  );
  const catalog = useLoad(() => api.get<Catalog>('/v1/catalog'), '');
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) void sessions.reload();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, []);

  const page = sessions.data.value;
  const isFiltered = Object.keys(filter).length > 0 || query.cursor !== undefined;
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Sessions</h1>
        <div class="end">
          <ImportButton onImported={() => void sessions.reload()} />
          <a class="button primary" href={hashOf('/new')}>
            New session
          </a>
        </div>
      </div>
      <Filters query={query} catalog={catalog.data.value} />
      <ProblemNote problem={sessions.problem.value} />
      {page === null ? (
        sessions.loading.value && <p class="faint">Loading …</p>
      ) : page.items.length === 0 ? (
        <div class="card">
          <Empty>
            {isFiltered ? 'None that fits the filters.' : 'None yet. '}
            {!isFiltered && <a href={hashOf('/new')}>Create the first one.</a>}
          </Empty>
        </div>
      ) : (
        <div class="card flush">
          <Table
            caption="Sessions"
            blocks
            rows={page.items}
            keyOf={({ id }) => id}
            columns={columns(() => void sessions.reload())}
          />
        </div>
      )}
      {page !== null && (page.nextCursor !== undefined || query.cursor !== undefined) && (
        <nav class="row" aria-label="Pages of the list">
          <button type="button" disabled={query.cursor === undefined} onClick={() => history.back()}>
            Back
          </button>
          {page.nextCursor !== undefined && (
            <a class="button" href={hashOf('/sessions', { ...query, cursor: page.nextCursor })}>
              Next {PER_PAGE}
            </a>
          )}
        </nav>
      )}
    </>
  );

  function columns(onChanged: () => void) {
    return [
      {
        name: 'Name',
        head: true,
        cell: ({ id, name, title }: Session) => (
          <>
            <a href={hashOf(`/sessions/${encodeURIComponent(name ?? id)}`)}>{name ?? id}</a>
            {title !== undefined && <div class="faint small">{title}</div>}
          </>
        ),
      },
      { name: 'State', cell: (session: Session) => <State session={session} /> },
      { name: 'Policy', cell: (session: Session) => <PolicyCell session={session} /> },
      { name: 'Simulated', number: true, cell: ({ timeNs }: Session) => duration(timeNs) },
      { name: 'Operations', number: true, cell: ({ operations }: Session) => count(operations) },
      { name: 'Created, UTC', cell: ({ createdAt }: Session) => <span class="faint">{instant(createdAt)}</span> },
      {
        name: 'Actions',
        number: true,
        cell: (session: Session) => <SessionActions session={session} quiet onDeleted={onChanged} />,
      },
    ];
  }
}

function State({ session: { state, paused, activeRun } }: { session: Session }) {
  if (paused !== undefined) return <StateMark state="warn" text={`paused: ${paused.quota.name}`} />;
  return (
    <>
      <StateMark state={state} />
      {activeRun !== null && <span class="faint small"> {activeRun}</span>}
    </>
  );
}

/** What is in force, and what was asked for where that is another one. */
function PolicyCell({ session: { policy } }: { session: Session }) {
  const { requested, effective } = policy;
  const inWords = ({ mode, allocator, invalidation }: typeof requested) =>
    [mode === 'translate' ? '' : mode, allocator.kind, invalidation.kind].filter((part) => part !== '').join(' + ');
  const [asked, inForce] = [inWords(requested), inWords(effective)];
  return (
    <>
      {inForce}
      {asked !== inForce && <div class="small warn-text">requested {asked}</div>}
    </>
  );
}
