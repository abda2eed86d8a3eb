import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { it } from 'node:test';
import { SILENT } from '../../../src/host/logger.ts';
import { TraceFolder } from '../../../src/trace/archive/folder.ts';
import { ARCHIVE_LIMITS } from '../../../src/trace/archive/limits.ts';
import { Reading } from '../../../src/trace/archive/reading.ts';
import { Register } from '../../../src/trace/archive/register.ts';
import { Room } from '../../../src/trace/archive/room.ts';
import { TraceStore } from '../../../src/trace/store.ts';
import { newFolder, PLAIN } from './archives.ts';

it('begins nothing with bytes that were written while their trace failed or was deleted', async (t) => {
  const folder = new TraceFolder(newFolder(t));
  const register = new Register(new TraceStore(null));
  const limits = { ...ARCHIVE_LIMITS, readers: 0 };
  const room = new Room(folder.path, limits, register);
  const reading = new Reading({ folder, register, room, limits, logger: SILENT, nowMs: () => 0, importer: null });
  t.after(() => reading.close());
  const added = (id: string) => {
    writeFileSync(folder.uploadPath(id), 'bytes');
    return register.add({
      id,
      owner: 'local',
      state: 'uploading',
      created: '',
      ended: null,
      made: null,
      input: PLAIN,
      bytes: 5,
      digest: null,
      records: 0,
      tapeBytes: 0,
    });
  };
  const [fails, goes, stays] = [added('fails'), added('goes'), added('stays')];
  reading.fail(fails, { code: 'not-understood', detail: 'No.' });
  register.remove(goes);
  for (const entry of [fails, goes]) reading.more(entry);
  assert.equal(reading.queued, 0);
  assert.deepEqual([fails.reader, fails.problem?.code, reading.counted.failures], [null, 'not-understood', 1]);
  reading.more(stays);
  assert.equal(reading.queued, 1);
});
