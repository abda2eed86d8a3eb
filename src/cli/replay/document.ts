/** The export of a session: spec, records, and the digest to which they lead (`src/host/snapshots.ts` writes it). */
import { createLineValidator } from '../../api/line-validator.ts';
import { coreVersion } from '../../core/index.ts';
import type { JournalRecord } from '../../host/journal/records.ts';
import { problemOf } from '../../host/rehearsal.ts';
import { FORMAT, FORMAT_VERSION } from '../../host/snapshots.ts';
import type { Plain } from '../../lab/experiment.ts';
import { EXIT, Failure } from '../failure.ts';

export interface Export {
  spec: Plain;
  digest: string;
  coreVersion: string;
  records: JournalRecord[];
}

/** More are as good as these. */
const MOST_TOLD = 10;

/** @throws Failure that names every member that is wrong */
export function exportOf(document: Plain): Export {
  const { format, formatVersion, coreVersion: version, digest, spec, records } = document;
  if (format !== FORMAT)
    throw new Failure(
      EXIT.usage,
      'This is no export of a session: one is what GET /v1/sessions/{session}/snapshots/{snapshot}?state=false answers.',
    );
  if (formatVersion !== FORMAT_VERSION)
    throw new Failure(
      EXIT.usage,
      `/formatVersion is ${formatVersion}, and ${FORMAT_VERSION} is what this version reads.`,
    );
  if (version !== coreVersion)
    throw new Failure(
      EXIT.usage,
      `/coreVersion is ${version}, and this is ${coreVersion}, under which the same operations may lead elsewhere.`,
    );
  const wrong: string[] = [];
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) wrong.push('/digest: must be 64 hex digits');
  if (typeof spec !== 'object' || spec === null || Array.isArray(spec)) wrong.push('/spec: must be an object');
  if (!Array.isArray(records)) wrong.push('/records: must be a list');
  else {
    const validate = createLineValidator();
    for (const [i, record] of records.entries()) {
      const problem = problemOf(record, validate);
      if (problem !== null) wrong.push(`/records/${i}: ${problem}`);
      if (wrong.length > MOST_TOLD) break;
    }
  }
  if (wrong.length > 0) {
    const more = wrong.length > MOST_TOLD ? ['  ...'] : [];
    throw new Failure(
      EXIT.usage,
      'The export cannot be done again:',
      ...wrong.slice(0, MOST_TOLD).map((line) => `  ${line}`),
      ...more,
    );
  }
  return document as unknown as Export;
}
