/** The sessions that the server holds. */
import type { SessionPage as SessionList } from '../../api/contract-types.ts';
import { api } from '../api.ts';
import { ProblemNote, StateMark } from '../parts/bits.tsx';
import { Table } from '../parts/table.tsx';
import { hashOf } from '../router.ts';
import { useLoad } from '../use-load.ts';

export default function SessionsPage() {
  const sessions = useLoad(() => api.get<SessionList>('/v1/sessions'), '');
  return (
    <>
      <div class="head">
        <h1 tabIndex={-1}>Sessions</h1>
      </div>
      <ProblemNote problem={sessions.problem.value} />
      <Table
        caption="Sessions"
        rows={sessions.data.value?.items ?? []}
        keyOf={({ id }) => id}
        columns={[
          {
            name: 'Name',
            head: true,
            cell: ({ id, name }) => <a href={hashOf(`/sessions/${name ?? id}`)}>{name ?? id}</a>,
          },
          { name: 'State', cell: ({ state }) => <StateMark state={state} /> },
        ]}
      />
    </>
  );
}
