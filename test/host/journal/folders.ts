/** Folders on the disk for tests of what survives, and copies of them as a crash at that instant would leave them. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export function folderFor(test: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'iommu-lab-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What another process would find if this one were killed now. */
export function crashed(test: TestContext, folder: string): string {
  const copy = folderFor(test);
  cpSync(folder, copy, { recursive: true });
  return copy;
}
