/** What is seen of a session before and after a step. */
import type { Allocator, Iotlb, PageTable, Queues, Session, SpacePage, WalkCache } from '../../api/contract-types.ts';
import { api, sessionPath } from '../api.ts';

export interface Look {
  session: Session;
  iotlb: Iotlb;
  walkCache: WalkCache;
  queues: Queues;
  /** Null while the session has no domain. */
  allocator: Allocator | null;
  /** Of the address in focus; null without one. */
  walk: PageTable | null;
  page: SpacePage | null;
}

export interface Focus {
  domain: string;
  iova: string;
}

export async function lookAround(session: string, domain: string | undefined, focus: Focus | null): Promise<Look> {
  const at = (...parts: string[]) => sessionPath(session, ...parts);
  const [document, iotlb, walkCache, queues, allocator, walk, page] = await Promise.all([
    api.get<Session>(at()),
    api.get<Iotlb>(at('iotlb')),
    api.get<WalkCache>(at('walk-cache')),
    api.get<Queues>(at('queues')),
    domain === undefined ? null : api.get<Allocator>(at('allocator'), { domain }),
    focus === null ? null : api.get<PageTable>(at('page-table'), { ...focus }),
    focus === null ? null : api.get<SpacePage>(at('space', 'page'), { ...focus }),
  ]);
  return { session: document, iotlb, walkCache, queues, allocator, walk, page };
}
