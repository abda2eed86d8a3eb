/**
 * The laboratory as one principal sees it: the experiments that are its own. Another one does not exist, by whatever call; an admin may
 * list all, read their documents and end them. Whoever has a link to a session has no experiments.
 */
import type { Reply } from '../host/host.ts';
import { LOCAL_OWNER } from '../host/ids.ts';
import { experimentNotFound, invalidCursor, QUOTA_RETRY_SECONDS, refuse } from '../host/problems.ts';
import type { ExperimentDocument, ExperimentInput, ExperimentState, ExperimentSummary } from '../lab/experiment.ts';
import type { Laboratory, RenderForm, RenderOptions } from '../lab/laboratory.ts';
import type { AccessControl } from './control.ts';
import { includes } from './scopes.ts';
import type { Who } from './who.ts';

export class ExperimentView {
  private readonly laboratory: Laboratory;
  private readonly control: AccessControl;
  private readonly who: Who;

  constructor(laboratory: Laboratory, control: AccessControl, who: Who) {
    this.laboratory = laboratory;
    this.control = control;
    this.who = who;
  }

  private sees(owner: string): boolean {
    const { kind, principal, scope } = this.who;
    return kind === 'local' || (kind === 'token' && (owner === principal || scope === 'admin'));
  }

  /** @param inside whether more is wanted than to know of it and to end it */
  private reach(experiment: string, inside: boolean): Reply<string> {
    const { kind, principal } = this.who;
    const id = this.laboratory.resolve(experiment, principal);
    const owner = id === null ? null : this.laboratory.ownerOf(id);
    if (id === null || owner === null || !this.sees(owner)) return refuse(experimentNotFound(experiment));
    if (inside && kind !== 'local' && owner !== principal) {
      const detail = 'An admin may list the experiment, read its document and delete it, and no more.';
      return refuse({ code: 'not-permitted', detail });
    }
    return { ok: true, value: id };
  }

  /** Nobody but a principal has experiments. */
  private refuseAnybody(): { ok: false; problem: { code: string; detail: string } } | null {
    if (includes(this.who.scope, 'write')) return null;
    const detail = `This needs the scope write, and there is only ${this.who.scope}.`;
    return refuse({ code: 'insufficient-scope', detail });
  }

  validate(input: ExperimentInput): Promise<Reply<ExperimentDocument>> {
    return this.laboratory.validate(input, this.owner);
  }

  private get owner(): string {
    return this.who.kind === 'local' ? LOCAL_OWNER : this.who.principal;
  }

  async create(input: ExperimentInput): Promise<Reply<ExperimentDocument>> {
    const { laboratory, owner } = this;
    const limit = this.who.limits.experiments;
    const reply = await laboratory.create(input, owner, () => {
      const used = laboratory.activeOf(owner);
      if (limit === 0 || used < limit) return null;
      return refuse({
        code: 'too-many-experiments',
        detail: `You have ${used} experiments that have not ended, and ${limit} is the limit.`,
        retryable: true,
        quota: { name: 'experiments', limit, used, retryAfterSeconds: QUOTA_RETRY_SECONDS },
      });
    });
    if (reply.ok || reply.problem.code !== 'too-many-experiments' || reply.problem.quota !== undefined) return reply;
    // The laboratory's own words count the experiments of all.
    return refuse({ ...reply.problem, detail: 'The server has as many experiments on record as it may.' });
  }

  async list({
    cursor,
    ...page
  }: {
    limit: number;
    cursor?: string;
    state?: ExperimentState;
  }): Promise<Reply<{ items: ExperimentSummary[]; nextCursor?: string }>> {
    const { cursors } = this.control;
    const after = cursor === undefined ? undefined : cursors.open(cursor);
    if (after === null) return refuse(invalidCursor(cursor!));
    const asked = { ...page, ...(after === undefined ? {} : { cursor: after }) };
    const reply = await this.laboratory.list(asked, (owner) => this.sees(owner));
    if (!reply.ok || reply.value.nextCursor === undefined) return reply;
    return { ok: true, value: { ...reply.value, nextCursor: cursors.seal(reply.value.nextCursor) } };
  }

  async get(experiment: string): Promise<Reply<ExperimentDocument>> {
    const reached = this.reach(experiment, false);
    return reached.ok ? this.laboratory.get(reached.value) : reached;
  }

  async render(experiment: string, form: RenderForm, options: RenderOptions): ReturnType<Laboratory['render']> {
    const reached = this.reach(experiment, true);
    return reached.ok ? this.laboratory.render(reached.value, form, options) : reached;
  }

  async delete(experiment: string): Promise<Reply<ExperimentDocument>> {
    const refusal = this.refuseAnybody();
    if (refusal !== null) return refusal;
    const reached = this.reach(experiment, false);
    return reached.ok ? this.laboratory.delete(reached.value) : reached;
  }
}
