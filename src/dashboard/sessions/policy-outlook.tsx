/** Requested and effective policy beside each other, and why they differ; warnings of the kernel command line. */
import type { PolicyDocument, SessionPolicy } from '../../api/contract-types.ts';
import { StateMark } from '../parts/bits.tsx';

const MEMBERS: [name: string, read: (policy: PolicyDocument) => unknown][] = [
  ['mode', ({ mode }) => mode],
  ['allocator', ({ allocator }) => allocator.kind],
  ['invalidation', ({ invalidation }) => invalidation.kind],
  ['domain type', ({ domainType }) => domainType],
];

export function PolicyOutlook({ policy }: { policy: SessionPolicy }) {
  const { requested, effective, why, warnings, domains } = policy;
  const differs = MEMBERS.some(([, read]) => read(requested) !== read(effective));
  return (
    <div class="stack">
      <table class="tight policy">
        <caption class="hidden-text">The policy as requested and as in force</caption>
        <thead>
          <tr>
            <td />
            <th scope="col">requested</th>
            <th scope="col">effective</th>
          </tr>
        </thead>
        <tbody>
          {MEMBERS.map(([name, read]) => {
            const [asked, inForce] = [String(read(requested)), String(read(effective))];
            return (
              <tr key={name}>
                <th scope="row" class="faint">
                  {name}
                </th>
                <td>{asked}</td>
                <td>{asked === inForce ? inForce : <StateMark state="warn" text={inForce} />}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {why.map(({ code, detail }) => (
        <p key={code + detail} class="note warn">
          {capital(detail)}.
        </p>
      ))}
      {!differs && why.length === 0 && <p class="faint small">In force as requested.</p>}
      {domains.map(({ domain, mode, invalidation }) => (
        <p key={domain} class="note small">
          In domain <code>{domain}</code>: {mode}, {String(invalidation.kind)}.
        </p>
      ))}
      {warnings.map(({ option, detail }) => (
        <p key={option + detail} class="note warn small">
          <code>{option}</code>: {detail}
        </p>
      ))}
    </div>
  );
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
