/**
 * Every operation of the contract as a method, from openapi.yaml; do not edit: `npm run client` writes it.
 */
import type { Call, CallOptions, Upload } from '../call.ts';
import type { Pages } from '../pages.ts';
import type {
  AdvanceRequest,
  AdvanceResult,
  Allocator,
  AttachRequest,
  AttachResult,
  AuditLine,
  AuditPage,
  Buffer,
  BufferInput,
  BufferPage,
  BufferResult,
  Catalog,
  CheckedSpec,
  CpuIndex,
  Device,
  DeviceInput,
  DevicePage,
  DeviceResult,
  DmaRequest,
  DmaResult,
  Domain,
  DomainInput,
  DomainPage,
  DomainResult,
  Events,
  Experiment,
  ExperimentInput,
  ExperimentPage,
  ExperimentResults,
  ExperimentState,
  ExperimentSummary,
  Fault,
  Faults,
  Grant,
  GrantInput,
  GrantPage,
  Health,
  Id,
  InvalidateRequest,
  InvalidateResult,
  IommuMapRequest,
  IommuMapResult,
  IommuUnmapRequest,
  IommuUnmapResult,
  Iotlb,
  Link,
  LinkInput,
  LinkPage,
  Mapping,
  MappingPage,
  MapRequest,
  MapResult,
  Metrics,
  Name,
  NewLink,
  NewToken,
  PageTable,
  Queues,
  Readiness,
  Reference,
  Removed,
  Run,
  RunPage,
  RunRequest,
  RunState,
  Session,
  SessionChange,
  SessionInput,
  SessionPage,
  SessionState,
  Snapshot,
  SnapshotFile,
  SnapshotInput,
  SnapshotPage,
  Space,
  SpaceCells,
  SpacePage,
  SyncRequest,
  SyncResult,
  Tenant,
  TenantInput,
  TenantPage,
  TenantResult,
  Ticket,
  Token,
  TokenInput,
  TokenPage,
  TokenRotation,
  Trace,
  TraceChecks,
  TraceEventPage,
  TraceForensics,
  TracePage,
  TraceState,
  TraceSummary,
  UnmapRequest,
  UnmapResult,
  Version,
  WalkCache,
  WhoAmI,
  Workload,
  WorkloadInput,
  WorkloadPage,
  WorkloadResult,
} from './types.ts';

/** Path parameters come first and in their order, then the body, then query and options together. */
export abstract class Operations {
  /** Sends a request and answers what came back, read as its type says. */
  protected abstract send<T>(call: Call, options?: CallOptions): Promise<T>;

  /** The same for a list: one page when awaited, all items when iterated over. */
  protected abstract list<Page, Item>(call: Call, options?: CallOptions): Pages<Page, Item>;

  /**
   * List sessions, oldest first: `GET /v1/sessions`.
   *
   * With filters, those that fit all of them. A `nextCursor` goes on under the same filters or under others.
   *
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   * @param options.name A name, or the beginning of one and `*`.
   * @param options.mode Of the policy, as it was asked for.
   * @param options.allocator Kind of the policy's allocator, as it was asked for.
   * @param options.invalidation Kind of the policy's invalidation, as it was asked for.
   * @param options.createdAfter Created later than this instant.
   * @param options.createdBefore Created earlier than this instant.
   */
  listSessions(
    options?: CallOptions & {
      limit?: number;
      cursor?: string;
      name?: string;
      state?: SessionState;
      mode?: 'translate' | 'passthrough' | 'bounce' | 'shadow' | 'direct' | 'emulated' | 'paravirtual' | 'nested';
      allocator?:
        | 'rbtree-2008'
        | 'rbtree'
        | 'maple'
        | 'rcache'
        | 'bitmap'
        | 'gart'
        | 'amd-2008'
        | 'alpha'
        | 'sparc-pools'
        | 'powerpc-pools'
        | 'sba-parisc'
        | 'sba-ia64'
        | 'eiovar'
        | 'identity'
        | 'persistent'
        | 'contiguous';
      invalidation?: 'strict' | 'deferred-2008' | 'flush-queue' | 'wrap' | 'never' | 'delayed' | 'batched';
      createdAfter?: string;
      createdBefore?: string;
    },
  ): Pages<SessionPage, Session> {
    return this.list(
      {
        method: 'GET',
        path: '/v1/sessions',
        query: [
          'limit',
          'cursor',
          'name',
          'state',
          'mode',
          'allocator',
          'invalidation',
          'createdAfter',
          'createdBefore',
        ],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Create a session from a spec, a preset or a snapshot: `POST /v1/sessions`.
   *
   * All of the body is optional. With `validateOnly=true` the spec is resolved and checked, and nothing is created. `fromSnapshot` with an id makes a session that goes on from there (a fork); with a document that was downloaded, from this server or another, it does what the document records again, and refuses it unless that leads to the digest it states. A document that this server sealed, or one with the same `snapshot.key` in its data folder, is not done again.
   *
   * @param options.validateOnly Check and resolve the spec, create nothing.
   */
  createSession(body: SessionInput | undefined, options: CallOptions & { validateOnly: true }): Promise<CheckedSpec>;
  createSession(body?: SessionInput, options?: CallOptions & { validateOnly?: false }): Promise<Session>;
  createSession(
    body?: SessionInput,
    options?: CallOptions & { validateOnly?: boolean },
  ): Promise<CheckedSpec | Session>;
  createSession(
    body?: SessionInput,
    options?: CallOptions & { validateOnly?: boolean },
  ): Promise<CheckedSpec | Session> {
    return this.send({ method: 'POST', path: '/v1/sessions', query: ['validateOnly'], keyed: true, body }, options);
  }

  /**
   * Read a session, with its digest, time and resolved spec: `GET /v1/sessions/{session}`.
   *
   * @param session Id or name of the session.
   */
  getSession(session: Reference, options?: CallOptions): Promise<Session> {
    return this.send({ method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}` }, options);
  }

  /**
   * Change name, title or when it expires: `PATCH /v1/sessions/{session}`.
   *
   * @param session Id or name of the session.
   */
  renameSession(session: Reference, body?: SessionChange, options?: CallOptions): Promise<Session> {
    return this.send({ method: 'PATCH', path: `/v1/sessions/${encodeURIComponent(session)}`, body }, options);
  }

  /**
   * Delete a session; an active run is cancelled first: `DELETE /v1/sessions/{session}`.
   *
   * @param session Id or name of the session.
   */
  deleteSession(session: Reference, options?: CallOptions): Promise<Removed> {
    return this.send({ method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}` }, options);
  }

  /**
   * Go back to the spec, at time 0: `POST /v1/sessions/{session}/reset`.
   *
   * Afterwards the digest equals that of a fresh session with the same spec. Starts a new epoch of the stream.
   *
   * @param session Id or name of the session.
   */
  resetSession(session: Reference, options?: CallOptions): Promise<Session> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/reset`, keyed: true },
      options,
    );
  }

  /**
   * Let simulated time pass; timers fire: `POST /v1/sessions/{session}/advance`.
   *
   * @param session Id or name of the session.
   */
  advanceTime(session: Reference, body: AdvanceRequest, options?: CallOptions): Promise<AdvanceResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/advance`, keyed: true, body },
      options,
    );
  }

  /**
   * List the tenants: `GET /v1/sessions/{session}/tenants`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listTenants(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<TenantPage, Tenant> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/tenants`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Create a tenant: `POST /v1/sessions/{session}/tenants`.
   *
   * @param session Id or name of the session.
   */
  createTenant(session: Reference, body: TenantInput, options?: CallOptions): Promise<TenantResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/tenants`, keyed: true, body },
      options,
    );
  }

  /**
   * Read a tenant: `GET /v1/sessions/{session}/tenants/{tenant}`.
   *
   * @param session Id or name of the session.
   * @param tenant Id or name of the tenant.
   */
  getTenant(session: Reference, tenant: Reference, options?: CallOptions): Promise<Tenant> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/tenants/${encodeURIComponent(tenant)}` },
      options,
    );
  }

  /**
   * Delete a tenant and free all its frames, as a VM teardown does: `DELETE /v1/sessions/{session}/tenants/{tenant}`.
   *
   * @param session Id or name of the session.
   * @param tenant Id or name of the tenant.
   */
  deleteTenant(session: Reference, tenant: Reference, options?: CallOptions): Promise<Removed> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/tenants/${encodeURIComponent(tenant)}` },
      options,
    );
  }

  /**
   * List the domains: `GET /v1/sessions/{session}/domains`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listDomains(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<DomainPage, Domain> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/domains`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Create a protection domain: `POST /v1/sessions/{session}/domains`.
   *
   * @param session Id or name of the session.
   */
  createDomain(session: Reference, body?: DomainInput, options?: CallOptions): Promise<DomainResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/domains`, keyed: true, body },
      options,
    );
  }

  /**
   * Read a protection domain: `GET /v1/sessions/{session}/domains/{domain}`.
   *
   * @param session Id or name of the session.
   * @param domain Id or name of the domain.
   */
  getDomain(session: Reference, domain: Reference, options?: CallOptions): Promise<Domain> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/domains/${encodeURIComponent(domain)}` },
      options,
    );
  }

  /**
   * Delete a protection domain: `DELETE /v1/sessions/{session}/domains/{domain}`.
   *
   * @param session Id or name of the session.
   * @param domain Id or name of the domain.
   */
  deleteDomain(session: Reference, domain: Reference, options?: CallOptions): Promise<Removed> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/domains/${encodeURIComponent(domain)}` },
      options,
    );
  }

  /**
   * Map an explicit IOVA, as VFIO or iommufd would: `POST /v1/sessions/{session}/domains/{domain}/iommu-map`.
   *
   * Over a live mapping or a reserved region it is refused.
   *
   * @param session Id or name of the session.
   * @param domain Id or name of the domain.
   */
  iommuMap(
    session: Reference,
    domain: Reference,
    body: IommuMapRequest,
    options?: CallOptions,
  ): Promise<IommuMapResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/domains/${encodeURIComponent(domain)}/iommu-map`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * Unmap an explicit range: `POST /v1/sessions/{session}/domains/{domain}/iommu-unmap`.
   *
   * Holes are fine; cutting a superpage is refused.
   *
   * @param session Id or name of the session.
   * @param domain Id or name of the domain.
   */
  iommuUnmap(
    session: Reference,
    domain: Reference,
    body: IommuUnmapRequest,
    options?: CallOptions,
  ): Promise<IommuUnmapResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/domains/${encodeURIComponent(domain)}/iommu-unmap`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * Drop cached translations: `POST /v1/sessions/{session}/domains/{domain}/invalidate`.
   *
   * @param session Id or name of the session.
   * @param domain Id or name of the domain.
   */
  invalidateDomain(
    session: Reference,
    domain: Reference,
    body: InvalidateRequest,
    options?: CallOptions,
  ): Promise<InvalidateResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/domains/${encodeURIComponent(domain)}/invalidate`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * List the devices: `GET /v1/sessions/{session}/devices`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listDevices(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<DevicePage, Device> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Add a device and attach it to a domain: `POST /v1/sessions/{session}/devices`.
   *
   * @param session Id or name of the session.
   */
  createDevice(session: Reference, body: DeviceInput, options?: CallOptions): Promise<DeviceResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/devices`, keyed: true, body },
      options,
    );
  }

  /**
   * Read a device: `GET /v1/sessions/{session}/devices/{device}`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  getDevice(session: Reference, device: Reference, options?: CallOptions): Promise<Device> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}` },
      options,
    );
  }

  /**
   * Detach and remove a device: `DELETE /v1/sessions/{session}/devices/{device}`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  deleteDevice(session: Reference, device: Reference, options?: CallOptions): Promise<Removed> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}` },
      options,
    );
  }

  /**
   * Move a device to another domain: `PUT /v1/sessions/{session}/devices/{device}/domain`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  attachDevice(
    session: Reference,
    device: Reference,
    body: AttachRequest,
    options?: CallOptions,
  ): Promise<AttachResult> {
    return this.send(
      {
        method: 'PUT',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/domain`,
        body,
      },
      options,
    );
  }

  /**
   * Detach a device from its domain; its accesses then fault: `DELETE /v1/sessions/{session}/devices/{device}/domain`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  detachDevice(session: Reference, device: Reference, options?: CallOptions): Promise<AttachResult> {
    return this.send(
      {
        method: 'DELETE',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/domain`,
      },
      options,
    );
  }

  /**
   * Let the device read or write: `POST /v1/sessions/{session}/devices/{device}/dma`.
   *
   * A blocked access is a result (`fault`), not a problem. The clock does not move.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  accessMemory(session: Reference, device: Reference, body: DmaRequest, options?: CallOptions): Promise<DmaResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/dma`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * List the live mappings of a device: `GET /v1/sessions/{session}/devices/{device}/mappings`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listDeviceMappings(
    session: Reference,
    device: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<MappingPage, Mapping> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/mappings`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Map memory for the device through the DMA API: `POST /v1/sessions/{session}/devices/{device}/mappings`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  mapMemory(session: Reference, device: Reference, body: MapRequest, options?: CallOptions): Promise<MapResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/mappings`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * List the live mappings of all devices: `GET /v1/sessions/{session}/mappings`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listMappings(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<MappingPage, Mapping> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/mappings`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Read a live mapping: `GET /v1/sessions/{session}/devices/{device}/mappings/{mapping}`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   * @param mapping Id of a live mapping.
   */
  getMapping(session: Reference, device: Reference, mapping: Reference, options?: CallOptions): Promise<Mapping> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/mappings/${encodeURIComponent(mapping)}`,
      },
      options,
    );
  }

  /**
   * Unmap by handle: `DELETE /v1/sessions/{session}/devices/{device}/mappings/{mapping}`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   * @param mapping Id of a live mapping.
   * @param options.cpu Which simulated CPU makes the call.
   */
  unmapMapping(
    session: Reference,
    device: Reference,
    mapping: Reference,
    options?: CallOptions & { cpu?: CpuIndex },
  ): Promise<UnmapResult> {
    return this.send(
      {
        method: 'DELETE',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/mappings/${encodeURIComponent(mapping)}`,
        query: ['cpu'],
      },
      options,
    );
  }

  /**
   * Unmap by address: `POST /v1/sessions/{session}/devices/{device}/unmap`.
   *
   * Wrong size, direction or address is misuse - reported, and carried out as the kernel would.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   */
  unmapRange(session: Reference, device: Reference, body: UnmapRequest, options?: CallOptions): Promise<UnmapResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/unmap`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * Hand a mapping over to the CPU or the device: `POST /v1/sessions/{session}/devices/{device}/mappings/{mapping}/sync`.
   *
   * @param session Id or name of the session.
   * @param device Id or name of the device.
   * @param mapping Id of a live mapping.
   */
  syncMapping(
    session: Reference,
    device: Reference,
    mapping: Reference,
    body: SyncRequest,
    options?: CallOptions,
  ): Promise<SyncResult> {
    return this.send(
      {
        method: 'POST',
        path: `/v1/sessions/${encodeURIComponent(session)}/devices/${encodeURIComponent(device)}/mappings/${encodeURIComponent(mapping)}/sync`,
        keyed: true,
        body,
      },
      options,
    );
  }

  /**
   * List the buffers: `GET /v1/sessions/{session}/buffers`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listBuffers(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<BufferPage, Buffer> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/buffers`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Allocate page frames for a tenant: `POST /v1/sessions/{session}/buffers`.
   *
   * @param session Id or name of the session.
   */
  createBuffer(session: Reference, body: BufferInput, options?: CallOptions): Promise<BufferResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/buffers`, keyed: true, body },
      options,
    );
  }

  /**
   * Read a buffer: `GET /v1/sessions/{session}/buffers/{buffer}`.
   *
   * @param session Id or name of the session.
   * @param buffer Id or name of the buffer.
   */
  getBuffer(session: Reference, buffer: Reference, options?: CallOptions): Promise<Buffer> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/buffers/${encodeURIComponent(buffer)}` },
      options,
    );
  }

  /**
   * Free a buffer: `DELETE /v1/sessions/{session}/buffers/{buffer}`.
   *
   * @param session Id or name of the session.
   * @param buffer Id or name of the buffer.
   * @param options.force Free it though it is mapped, which is misuse.
   */
  freeBuffer(session: Reference, buffer: Reference, options?: CallOptions & { force?: boolean }): Promise<Removed> {
    return this.send(
      {
        method: 'DELETE',
        path: `/v1/sessions/${encodeURIComponent(session)}/buffers/${encodeURIComponent(buffer)}`,
        query: ['force'],
      },
      options,
    );
  }

  /**
   * List the workloads: `GET /v1/sessions/{session}/workloads`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listWorkloads(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<WorkloadPage, Workload> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/workloads`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Attach traffic to a device: `POST /v1/sessions/{session}/workloads`.
   *
   * @param session Id or name of the session.
   */
  createWorkload(session: Reference, body: WorkloadInput, options?: CallOptions): Promise<WorkloadResult> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/workloads`, keyed: true, body },
      options,
    );
  }

  /**
   * Read a workload: `GET /v1/sessions/{session}/workloads/{workload}`.
   *
   * @param session Id or name of the session.
   * @param workload Id or name of the workload.
   */
  getWorkload(session: Reference, workload: Reference, options?: CallOptions): Promise<Workload> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/workloads/${encodeURIComponent(workload)}` },
      options,
    );
  }

  /**
   * Delete a workload: `DELETE /v1/sessions/{session}/workloads/{workload}`.
   *
   * @param session Id or name of the session.
   * @param workload Id or name of the workload.
   */
  deleteWorkload(session: Reference, workload: Reference, options?: CallOptions): Promise<Removed> {
    return this.send(
      {
        method: 'DELETE',
        path: `/v1/sessions/${encodeURIComponent(session)}/workloads/${encodeURIComponent(workload)}`,
      },
      options,
    );
  }

  /**
   * List the runs, oldest first: `GET /v1/sessions/{session}/runs`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listRuns(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string; state?: RunState },
  ): Pages<RunPage, Run> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/runs`,
        query: ['limit', 'cursor', 'state'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Run the workloads until a time, a count or a condition: `POST /v1/sessions/{session}/runs`.
   *
   * @param session Id or name of the session.
   */
  startRun(session: Reference, body: RunRequest, options?: CallOptions): Promise<Run> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/runs`, keyed: true, body },
      options,
    );
  }

  /**
   * List the snapshots, oldest first: `GET /v1/sessions/{session}/snapshots`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listSnapshots(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<SnapshotPage, Snapshot> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/snapshots`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Keep the session as it is now: `POST /v1/sessions/{session}/snapshots`.
   *
   * A run may be active: the snapshot has it where it stands, and goes on with it in a fork. Reset and later operations leave snapshots alone; deleting the session deletes them, but no session that was made of one.
   *
   * @param session Id or name of the session.
   */
  takeSnapshot(session: Reference, body?: SnapshotInput, options?: CallOptions): Promise<Snapshot> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/snapshots`, keyed: true, body },
      options,
    );
  }

  /**
   * The session's history as a recording: `GET /v1/sessions/{session}/trace`.
   *
   * What was done since the session began or was reset, runs included, as a kernel would have traced it: ftrace text in the kernel's own grammar. With `labEvents` also what no kernel traces (accesses, memory, the beginning of calls) and, in comments, the session itself, so that an import leads to the same digest. It is done again while it is read; a reply that is cut short is an aborted connection.
   *
   * @param session Id or name of the session.
   * @param options.labEvents Whether events of ours and comments are in it.
   */
  exportHistory(
    session: Reference,
    options?: CallOptions & { format?: 'ftrace'; labEvents?: boolean },
  ): Promise<string> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/trace`,
        query: ['format', 'labEvents'],
        accept: 'text/plain',
      },
      options,
    );
  }

  /**
   * Download a snapshot as a document that `fromSnapshot` takes: `GET /v1/sessions/{session}/snapshots/{snapshot}`.
   *
   * Spec, operations and runs, and the digest to which they lead: enough to do all of it again anywhere. The state beside them saves that where it can be trusted.
   *
   * @param session Id or name of the session.
   * @param snapshot Id of the snapshot.
   * @param options.state Whether the state is in it; without, it is an export as spec and operations.
   */
  downloadSnapshot(
    session: Reference,
    snapshot: Reference,
    options?: CallOptions & { state?: boolean },
  ): Promise<SnapshotFile> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/snapshots/${encodeURIComponent(snapshot)}`,
        query: ['state'],
      },
      options,
    );
  }

  /**
   * Delete a snapshot: `DELETE /v1/sessions/{session}/snapshots/{snapshot}`.
   *
   * Sessions that were made of it stay as they are.
   *
   * @param session Id or name of the session.
   * @param snapshot Id of the snapshot.
   */
  deleteSnapshot(session: Reference, snapshot: Reference, options?: CallOptions): Promise<Snapshot> {
    return this.send(
      {
        method: 'DELETE',
        path: `/v1/sessions/${encodeURIComponent(session)}/snapshots/${encodeURIComponent(snapshot)}`,
      },
      options,
    );
  }

  /**
   * Read a run, its progress and its result: `GET /v1/sessions/{session}/runs/{run}`.
   *
   * @param session Id or name of the session.
   * @param run Id of the run.
   */
  getRun(session: Reference, run: Reference, options?: CallOptions): Promise<Run> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/runs/${encodeURIComponent(run)}` },
      options,
    );
  }

  /**
   * Cancel an active run, or remove the record of an ended one: `DELETE /v1/sessions/{session}/runs/{run}`.
   *
   * @param session Id or name of the session.
   * @param run Id of the run.
   */
  deleteRun(session: Reference, run: Reference, options?: CallOptions): Promise<Run> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/runs/${encodeURIComponent(run)}` },
      options,
    );
  }

  /**
   * All metrics now: `GET /v1/sessions/{session}/metrics`.
   *
   * JSON by default; OpenMetrics text for `Accept: application/openmetrics-text`, the older text form for `text/plain`. Text is all there is with `names` or `wake`. As a table, a row for each number by its dotted path, for `text/csv`, `application/vnd.apache.parquet` and `application/vnd.apache.arrow.stream`, or by `format`.
   *
   * @param session Id or name of the session.
   * @param options.names What the metrics are called: `lab` is ours, with all that is measured; the others have what the counters of that vendor have, under their names and with the event in the label `event` as `perf stat` and its like take it.
   * @param options.wake With `false` a session that rests is not woken, of which then only `iommu_session_awake 0` is told, and none is kept awake by it.
   */
  getMetrics(
    session: Reference,
    options?: CallOptions & {
      names?: 'lab' | 'intel' | 'amd' | 'arm' | 'riscv' | 'pcm';
      wake?: boolean;
      accept?: 'application/json';
    },
  ): Promise<Metrics>;
  getMetrics(
    session: Reference,
    options: CallOptions & {
      names?: 'lab' | 'intel' | 'amd' | 'arm' | 'riscv' | 'pcm';
      wake?: boolean;
      accept: 'application/openmetrics-text' | 'text/plain' | 'text/csv';
    },
  ): Promise<string>;
  getMetrics(
    session: Reference,
    options: CallOptions & {
      names?: 'lab' | 'intel' | 'amd' | 'arm' | 'riscv' | 'pcm';
      wake?: boolean;
      accept: 'application/vnd.apache.parquet' | 'application/vnd.apache.arrow.stream';
    },
  ): Promise<Uint8Array>;
  getMetrics(
    session: Reference,
    options?: CallOptions & { names?: 'lab' | 'intel' | 'amd' | 'arm' | 'riscv' | 'pcm'; wake?: boolean },
  ): Promise<Metrics | string | Uint8Array> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/metrics`, query: ['names', 'wake'] },
      options,
    );
  }

  /**
   * Occupancy and fragmentation of the IOVA space: `GET /v1/sessions/{session}/space`.
   *
   * @param session Id or name of the session.
   * @param options.domain Id or name of a domain; the first domain when absent.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  getSpace(
    session: Reference,
    options?: CallOptions & { domain?: Reference; limit?: number; cursor?: string },
  ): Pages<Space, Space['items'][number]> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/space`,
        query: ['domain', 'limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * A stretch of the IOVA space as cells of equal size, each with its pages counted by state: `GET /v1/sessions/{session}/space/cells`.
   *
   * What a picture of the space is drawn from, cheap enough to be asked for several times a second while a run goes on. It costs a bounded number of steps; where they do not suffice, `coveredTo` says how far the counts reach, and a read from there on gives the rest.
   *
   * @param session Id or name of the session.
   * @param options.domain Id or name of a domain; the first domain when absent.
   * @param options.from First address of the stretch, rounded down to its page; 0 when absent.
   * @param options.to Last address of the stretch, its whole page; the last of the domain when absent or beyond it.
   * @param options.cells Cells at most. A cell has whole pages, so a stretch of fewer pages has as many cells as pages.
   * @param options.extents Also gives, as `space`, the figures of the whole space and the parts of it that are in use, in so many extents at most; 0 leaves them out.
   */
  getSpaceCells(
    session: Reference,
    options?: CallOptions & { domain?: Reference; from?: string; to?: string; cells?: number; extents?: number },
  ): Promise<SpaceCells> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/space/cells`,
        query: ['domain', 'from', 'to', 'cells', 'extents'],
      },
      options,
    );
  }

  /**
   * One IOVA page - its state, who mapped it when, and what translates it now: `GET /v1/sessions/{session}/space/page`.
   *
   * @param session Id or name of the session.
   * @param options.domain Id or name of a domain; the first domain when absent.
   * @param options.iova An address in the page, in hex.
   */
  getSpacePage(session: Reference, options: CallOptions & { domain?: Reference; iova: string }): Promise<SpacePage> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/space/page`, query: ['domain', 'iova'] },
      options,
    );
  }

  /**
   * Cached translations, by set: `GET /v1/sessions/{session}/iotlb`.
   *
   * @param session Id or name of the session.
   */
  getIotlb(session: Reference, options?: CallOptions): Promise<Iotlb> {
    return this.send({ method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/iotlb` }, options);
  }

  /**
   * Cached paths to page tables: `GET /v1/sessions/{session}/walk-cache`.
   *
   * @param session Id or name of the session.
   */
  getWalkCache(session: Reference, options?: CallOptions): Promise<WalkCache> {
    return this.send({ method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/walk-cache` }, options);
  }

  /**
   * The walk of one address: `GET /v1/sessions/{session}/page-table`.
   *
   * @param session Id or name of the session.
   * @param options.domain Id or name of the domain.
   * @param options.iova The address, in hex.
   */
  getPageTable(session: Reference, options: CallOptions & { domain: Reference; iova: string }): Promise<PageTable> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/page-table`, query: ['domain', 'iova'] },
      options,
    );
  }

  /**
   * Invalidation queue and flush queues: `GET /v1/sessions/{session}/queues`.
   *
   * @param session Id or name of the session.
   */
  getQueues(session: Reference, options?: CallOptions): Promise<Queues> {
    return this.send({ method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/queues` }, options);
  }

  /**
   * What the IOVA allocator remembers: `GET /v1/sessions/{session}/allocator`.
   *
   * @param session Id or name of the session.
   * @param options.domain Id or name of a domain; the first domain when absent.
   */
  getAllocator(session: Reference, options?: CallOptions & { domain?: Reference }): Promise<Allocator> {
    return this.send(
      { method: 'GET', path: `/v1/sessions/${encodeURIComponent(session)}/allocator`, query: ['domain'] },
      options,
    );
  }

  /**
   * The fault log, with who last mapped and unmapped the address: `GET /v1/sessions/{session}/faults`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  getFaults(session: Reference, options?: CallOptions & { limit?: number; cursor?: string }): Pages<Faults, Fault> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/faults`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * What a kernel would show of it, in its own words: `GET /v1/sessions/{session}/kernel/{file}`.
   *
   * @param session Id or name of the session.
   * @param file `dmar_perf_latency`: how long invalidations took, as the table of that name below `/sys/kernel/debug/iommu/intel`. `dma_map_benchmark`: what the kernel's tool prints, for each workload of the kind `map-benchmark`. `dmesg`: the fault log, as the kernel's log has it.
   */
  getKernelFile(
    session: Reference,
    file: 'dmar_perf_latency' | 'dma_map_benchmark' | 'dmesg',
    options?: CallOptions,
  ): Promise<string> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/kernel/${encodeURIComponent(file)}`,
        accept: 'text/plain',
      },
      options,
    );
  }

  /**
   * The event log: `GET /v1/sessions/{session}/events`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  getEvents(
    session: Reference,
    options?: CallOptions & { limit?: number; cursor?: string },
  ): Pages<Events, Events['items'][number]> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/events`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * List with whom the session is shared: `GET /v1/sessions/{session}/grants`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listGrants(session: Reference, options?: CallOptions & { limit?: number; cursor?: string }): Pages<GrantPage, Grant> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/grants`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Share the session with another principal: `POST /v1/sessions/{session}/grants`.
   *
   * A principal has one grant for a session at most; another one takes its place. `write` includes all operations and runs; renaming, deleting and sharing stay with the owner. Whoever it is shared with finds the session in its list and uses it by its id.
   *
   * @param session Id or name of the session.
   */
  createGrant(session: Reference, body: GrantInput, options?: CallOptions): Promise<Grant> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/grants`, keyed: true, body },
      options,
    );
  }

  /**
   * Share the session no longer; open streams of that principal end: `DELETE /v1/sessions/{session}/grants/{grant}`.
   *
   * @param session Id or name of the session.
   * @param grant Id of the grant.
   */
  deleteGrant(session: Reference, grant: Id, options?: CallOptions): Promise<Removed> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/grants/${encodeURIComponent(grant)}` },
      options,
    );
  }

  /**
   * List the links of the session, without their secrets: `GET /v1/sessions/{session}/links`.
   *
   * @param session Id or name of the session.
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listLinks(session: Reference, options?: CallOptions & { limit?: number; cursor?: string }): Pages<LinkPage, Link> {
    return this.list(
      {
        method: 'GET',
        path: `/v1/sessions/${encodeURIComponent(session)}/links`,
        query: ['limit', 'cursor'],
        items: 'items',
      },
      options,
    );
  }

  /**
   * Make a link that opens this session to whoever has it, for reading: `POST /v1/sessions/{session}/links`.
   *
   * What it gives stands where a token would: in `Authorization: Bearer`, or in the subprotocol of an upgrade. It reads this session and no other, and changes nothing.
   *
   * @param session Id or name of the session.
   */
  createLink(session: Reference, body?: LinkInput, options?: CallOptions): Promise<NewLink> {
    return this.send(
      { method: 'POST', path: `/v1/sessions/${encodeURIComponent(session)}/links`, keyed: true, body },
      options,
    );
  }

  /**
   * Revoke a link; streams that it opened end: `DELETE /v1/sessions/{session}/links/{link}`.
   *
   * @param session Id or name of the session.
   * @param link Id of the link.
   */
  deleteLink(session: Reference, link: Id, options?: CallOptions): Promise<Removed> {
    return this.send(
      { method: 'DELETE', path: `/v1/sessions/${encodeURIComponent(session)}/links/${encodeURIComponent(link)}` },
      options,
    );
  }

  /**
   * Get a ticket for one WebSocket: `POST /v1/ws-tickets`.
   *
   * Good for one upgrade within 30 s, for whoever asked for it. For clients that can set neither a header nor a subprotocol.
   */
  createTicket(options?: CallOptions): Promise<Ticket> {
    return this.send({ method: 'POST', path: '/v1/ws-tickets', keyed: true }, options);
  }

  /**
   * Who the server takes the client for, and what it may take: `GET /v1/whoami`.
   */
  whoAmI(options?: CallOptions): Promise<WhoAmI> {
    return this.send({ method: 'GET', path: '/v1/whoami' }, options);
  }

  /**
   * List the tokens, without their secrets, oldest first: `GET /v1/tokens`.
   *
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listTokens(options?: CallOptions & { limit?: number; cursor?: string }): Pages<TokenPage, Token> {
    return this.list({ method: 'GET', path: '/v1/tokens', query: ['limit', 'cursor'], items: 'items' }, options);
  }

  /**
   * Make a token: `POST /v1/tokens`.
   */
  createToken(body: TokenInput, options?: CallOptions): Promise<NewToken> {
    return this.send({ method: 'POST', path: '/v1/tokens', keyed: true, body }, options);
  }

  /**
   * Read a token, without its secret: `GET /v1/tokens/{token}`.
   *
   * @param token Id of the token.
   */
  getToken(token: Id, options?: CallOptions): Promise<Token> {
    return this.send({ method: 'GET', path: `/v1/tokens/${encodeURIComponent(token)}` }, options);
  }

  /**
   * Revoke a token at once; its streams and its `ops` end: `DELETE /v1/tokens/{token}`.
   *
   * @param token Id of the token.
   */
  revokeToken(token: Id, options?: CallOptions): Promise<Removed> {
    return this.send({ method: 'DELETE', path: `/v1/tokens/${encodeURIComponent(token)}` }, options);
  }

  /**
   * Make a token that follows this one: `POST /v1/tokens/{token}/rotate`.
   *
   * Same name, principal, scope and limits. The old one stays until it is revoked, or for `overlapSeconds`.
   *
   * @param token Id of the token.
   */
  rotateToken(token: Id, body?: TokenRotation, options?: CallOptions): Promise<NewToken> {
    return this.send(
      { method: 'POST', path: `/v1/tokens/${encodeURIComponent(token)}/rotate`, keyed: true, body },
      options,
    );
  }

  /**
   * Read the audit log, newest first: `GET /v1/audit`.
   *
   * A line for each request that changed something, for each that was refused for who asked or how often, and for each that asked for a session which is not there for whoever asked.
   *
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  getAudit(options?: CallOptions & { limit?: number; cursor?: string }): Pages<AuditPage, AuditLine> {
    return this.list({ method: 'GET', path: '/v1/audit', query: ['limit', 'cursor'], items: 'items' }, options);
  }

  /**
   * Which sessions Prometheus may scrape, in the form of its discovery over HTTP: `GET /v1/prometheus/targets`.
   *
   * For `http_sd_configs`. A target for each session that whoever asks may read: the address at which this was asked, the path of the session's metrics, the session's id as `instance`. Scrapes of them wake no session and keep none awake.
   *
   * @param options.awake Whether those that rest are left out.
   * @param options.name A name, or the beginning of one and `*`.
   * @param options.limit The most there may be; the oldest sessions come first.
   */
  listPrometheusTargets(
    options?: CallOptions & { awake?: boolean; name?: string; state?: SessionState; limit?: number },
  ): Promise<Uint8Array> {
    return this.send(
      { method: 'GET', path: '/v1/prometheus/targets', query: ['awake', 'name', 'state', 'limit'] },
      options,
    );
  }

  /**
   * List experiments, oldest first: `GET /v1/experiments`.
   *
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listExperiments(
    options?: CallOptions & { limit?: number; cursor?: string; state?: ExperimentState },
  ): Pages<ExperimentPage, ExperimentSummary> {
    return this.list(
      { method: 'GET', path: '/v1/experiments', query: ['limit', 'cursor', 'state'], items: 'items' },
      options,
    );
  }

  /**
   * Run every arm with every seed: `POST /v1/experiments`.
   *
   * All of it is checked before anything runs, and all that is wrong is named at once. Then it goes on by itself, also over a restart of the server; jobs of one content are computed once. With `validateOnly=true` nothing is created, and the reply says what would be.
   *
   * @param options.validateOnly Check the request and resolve it into arms, create nothing.
   */
  createExperiment(body?: ExperimentInput, options?: CallOptions & { validateOnly?: boolean }): Promise<Experiment> {
    return this.send({ method: 'POST', path: '/v1/experiments', query: ['validateOnly'], keyed: true, body }, options);
  }

  /**
   * Read an experiment, its arms and how far it is: `GET /v1/experiments/{experiment}`.
   *
   * @param experiment Id or name of the experiment.
   */
  getExperiment(experiment: Reference, options?: CallOptions): Promise<Experiment> {
    return this.send({ method: 'GET', path: `/v1/experiments/${encodeURIComponent(experiment)}` }, options);
  }

  /**
   * Cancel an experiment that is active, or remove one that has ended: `DELETE /v1/experiments/{experiment}`.
   *
   * One that is cancelled keeps the results that it has.
   *
   * @param experiment Id or name of the experiment.
   */
  deleteExperiment(experiment: Reference, options?: CallOptions): Promise<Experiment> {
    return this.send({ method: 'DELETE', path: `/v1/experiments/${encodeURIComponent(experiment)}` }, options);
  }

  /**
   * What has come of it so far - arms compared, or all rows: `GET /v1/experiments/{experiment}/results`.
   *
   * The form is that of `format`, or else what `Accept` prefers. CSV and Parquet have a row for each job and one for each of its workloads.
   *
   * @param experiment Id or name of the experiment.
   * @param options.rows Whether the JSON form has all rows with their outcomes, too.
   */
  getExperimentResults(
    experiment: Reference,
    options?: CallOptions & { rows?: boolean; accept?: 'application/json' },
  ): Promise<ExperimentResults>;
  getExperimentResults(
    experiment: Reference,
    options: CallOptions & { rows?: boolean; accept: 'text/csv' },
  ): Promise<string>;
  getExperimentResults(
    experiment: Reference,
    options: CallOptions & { rows?: boolean; accept: 'application/vnd.apache.parquet' },
  ): Promise<Uint8Array>;
  getExperimentResults(
    experiment: Reference,
    options?: CallOptions & { rows?: boolean },
  ): Promise<ExperimentResults | string | Uint8Array> {
    return this.send(
      { method: 'GET', path: `/v1/experiments/${encodeURIComponent(experiment)}/results`, query: ['rows'] },
      options,
    );
  }

  /**
   * Tables and plots in one HTML file, or a summary in Markdown: `GET /v1/experiments/{experiment}/report`.
   *
   * @param experiment Id or name of the experiment.
   */
  getExperimentReport(
    experiment: Reference,
    options?: CallOptions & { accept?: 'text/html' | 'text/markdown' },
  ): Promise<string> {
    return this.send(
      { method: 'GET', path: `/v1/experiments/${encodeURIComponent(experiment)}/report`, accept: 'text/html' },
      options,
    );
  }

  /**
   * List traces, oldest first: `GET /v1/traces`.
   *
   * @param options.limit Most items to return.
   * @param options.cursor The `nextCursor` of the page before.
   */
  listTraces(
    options?: CallOptions & { limit?: number; cursor?: string; state?: TraceState },
  ): Pages<TracePage, TraceSummary> {
    return this.list(
      { method: 'GET', path: '/v1/traces', query: ['limit', 'cursor', 'state'], items: 'items' },
      options,
    );
  }

  /**
   * Upload a recording: `POST /v1/traces`.
   *
   * The body is the recording, as text or binary, as it is or packed (`Content-Encoding: gzip` or `zstd`, or the type of a packed file). It is read while it arrives: a body that takes a while is answered 201 at once, and the reply ends when the body has. With `Upload-Complete` it is a resumable upload by draft-ietf-httpbis-resumable-upload: `?1` when the recording ends with this body, `?0` when more is to come by `PATCH` of the trace; the reply then comes when the body has been taken, and a 104 before it says where to go on. Offsets and lengths count bytes as they are sent, packed. Nothing of it is guessed in silence: the trace says how many lines were understood and why others were skipped, and with `strict` the first line that is not understood ends it.
   *
   * @param options.format What wrote the recording; `auto` is told by its beginning.
   * @param options.strict Whether a line that is not understood ends it.
   * @param options.options A JSON object with the options of the format, such as `{"order":"merged"}`.
   */
  createTrace(
    body?: Upload,
    options?: CallOptions & {
      name?: Name;
      format?: string;
      strict?: boolean;
      options?: string;
      contentType?: 'text/plain' | 'application/octet-stream' | 'application/gzip' | 'application/zstd';
    },
  ): Promise<Trace> {
    return this.send(
      {
        method: 'POST',
        path: '/v1/traces',
        query: ['name', 'format', 'strict', 'options'],
        keyed: true,
        body,
        bodyType: 'text/plain',
      },
      options,
    );
  }

  /**
   * Read what a trace says, and how far it is: `GET /v1/traces/{trace}`.
   *
   * `HEAD` answers the header fields alone; `Upload-Offset` is where an upload goes on.
   *
   * @param trace Id or name of the trace.
   */
  getTrace(trace: Reference, options?: CallOptions): Promise<Trace> {
    return this.send({ method: 'GET', path: `/v1/traces/${encodeURIComponent(trace)}` }, options);
  }

  /**
   * Go on with an upload: `PATCH /v1/traces/{trace}`.
   *
   * The body goes behind the bytes that are there; `Upload-Offset` has to say how many these are, else 409 says it. Of a body that breaks off, what came is kept. A request that comes while the body of another one arrives takes its place.
   *
   * @param trace Id or name of the trace.
   */
  appendTrace(
    trace: Reference,
    body?: Upload,
    options?: CallOptions & { contentType?: 'application/partial-upload' },
  ): Promise<Trace> {
    return this.send(
      {
        method: 'PATCH',
        path: `/v1/traces/${encodeURIComponent(trace)}`,
        body,
        bodyType: 'application/partial-upload',
      },
      options,
    );
  }

  /**
   * Cancel an upload, or remove a trace: `DELETE /v1/traces/{trace}`.
   *
   * Refused while a session replays the trace, since the session could not be had again without it.
   *
   * @param trace Id or name of the trace.
   */
  deleteTrace(trace: Reference, options?: CallOptions): Promise<Trace> {
    return this.send({ method: 'DELETE', path: `/v1/traces/${encodeURIComponent(trace)}` }, options);
  }

  /**
   * Look at the events of a trace that is ready: `GET /v1/traces/{trace}/events`.
   *
   * In the order of the recording. At most 50,700 events are looked at for one page, so that with `kind` or `device` a page may be short, or empty, and have a `nextFrom`.
   *
   * @param trace Id or name of the trace.
   * @param options.from Index of the first event that is looked at.
   * @param options.limit Most items to return.
   * @param options.device As the recording names it.
   */
  getTraceEvents(
    trace: Reference,
    options?: CallOptions & { from?: number; limit?: number; kind?: string; device?: string },
  ): Promise<TraceEventPage> {
    return this.send(
      {
        method: 'GET',
        path: `/v1/traces/${encodeURIComponent(trace)}/events`,
        query: ['from', 'limit', 'kind', 'device'],
      },
      options,
    );
  }

  /**
   * What is wrong, or could be better, in a recording: `GET /v1/traces/{trace}/checks`.
   *
   * Leaks, double unmaps, sizes, directions and functions that differ, invalidations that are missing or superfluous, memory that could stay mapped, sizes beyond the allocator's cache, fragmentation over time. One pass over all events, in bounded memory.
   *
   * @param trace Id or name of the trace.
   */
  checkTrace(trace: Reference, options?: CallOptions): Promise<TraceChecks> {
    return this.send({ method: 'GET', path: `/v1/traces/${encodeURIComponent(trace)}/checks` }, options);
  }

  /**
   * Which map and unmap each fault of a recording is about: `GET /v1/traces/{trace}/forensics`.
   *
   * For each `io_page_fault` the last map and unmap that touched its address, how long before, in which direction, and whether a lazy policy would have hidden it, in words that a bug report can quote. The first 1,000 faults; the others are counted.
   *
   * @param trace Id or name of the trace.
   */
  getTraceForensics(trace: Reference, options?: CallOptions): Promise<TraceForensics> {
    return this.send({ method: 'GET', path: `/v1/traces/${encodeURIComponent(trace)}/forensics` }, options);
  }

  /**
   * Every allocator, policy, mode, device, workload, cost profile and preset: `GET /v1/catalog`.
   */
  getCatalog(options?: CallOptions): Promise<Catalog> {
    return this.send({ method: 'GET', path: '/v1/catalog' }, options);
  }

  /**
   * Version and limits: `GET /v1`.
   */
  getVersion(options?: CallOptions): Promise<Version> {
    return this.send({ method: 'GET', path: '/v1' }, options);
  }

  /**
   * Whether the process is alive: `GET /healthz`.
   */
  getHealth(options?: CallOptions): Promise<Health> {
    return this.send({ method: 'GET', path: '/healthz' }, options);
  }

  /**
   * Whether the server takes work: `GET /readyz`.
   */
  getReadiness(options?: CallOptions): Promise<Readiness> {
    return this.send({ method: 'GET', path: '/readyz' }, options);
  }

  /**
   * The server's own metrics, for Prometheus: `GET /metrics`.
   */
  getServerMetrics(
    options?: CallOptions & { accept?: 'text/plain' | 'application/openmetrics-text' },
  ): Promise<string> {
    return this.send({ method: 'GET', path: '/metrics', accept: 'text/plain' }, options);
  }

  /**
   * This document: `GET /openapi.yaml`.
   */
  getContract(options?: CallOptions): Promise<string> {
    return this.send({ method: 'GET', path: '/openapi.yaml', accept: 'application/yaml' }, options);
  }

  /**
   * This document, for reading: `GET /docs`.
   */
  getDocs(options?: CallOptions): Promise<string> {
    return this.send({ method: 'GET', path: '/docs', accept: 'text/html' }, options);
  }

  /**
   * The guide, page by page: `GET /guide`.
   */
  getGuide(options?: CallOptions): Promise<string> {
    return this.send({ method: 'GET', path: '/guide', accept: 'text/html' }, options);
  }

  /**
   * The dashboard, or where to start: `GET /`.
   *
   * The dashboard for who accepts `text/html` by name, as browsers do, where it has been built; the front page for all others. Scripts and styles of the dashboard are below `/ui/`.
   */
  getFrontPage(options?: CallOptions): Promise<string> {
    return this.send({ method: 'GET', path: '/', accept: 'text/html' }, options);
  }
}
