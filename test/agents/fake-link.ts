import type { AgentLink, AgentLinkHandlers } from "@sluice/agents/link/link";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { sha256Hex } from "@sluice/proto/base/digest";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type {
  ConfirmReply,
  ConfirmRequest,
  DesiredEnvelope,
  PlanEnvelope,
} from "@sluice/proto/wire/envelope";
import type { Hits } from "@sluice/proto/wire/hits";
import type { ListDelta } from "@sluice/proto/wire/list";
import { applyDelta, digestAfter, emptyList, type ListState } from "@sluice/proto/wire/list-state";
import type { Pulse, ReportBody } from "@sluice/proto/wire/report";

/**
 * Control and NATS in one object. NATS isn't the subject of these tests: what is signed and delivered by it is tried in
 * test/link and end to end.
 */
export interface FakeControl {
  readonly reports: ReportBody[];
  readonly pulses: Pulse[];
  readonly hits: Omit<Hits, "v" | "server">[];
  readonly confirms: ConfirmRequest[];
  /** what control answers; throws: it can't be reached */
  confirm: (request: ConfirmRequest) => Promise<ConfirmReply>;
  connect(handlers: AgentLinkHandlers): Promise<AgentLink>;
  /** issues a manifest and wakes the agent */
  issue(manifest: Manifest, generation: number, epoch?: number, byHandMs?: number): DesiredEnvelope;
  plan(name: string, manifest: Manifest): void;
  /** changes a live list; agents that follow it hear the delta */
  list(name: string, add: string[], del?: string[], until?: string): void;
  outcomes(): Extract<ReportBody, { kind: "outcome" }>[];
  drifts(): Extract<ReportBody, { kind: "drift" }>[];
}

export const SERVER = "web-1";

export function createFakeControl(): FakeControl {
  const blobs = new Map<string, string>();
  const plans = new Map<string, PlanEnvelope>();
  const reports: ReportBody[] = [];
  const pulses: Pulse[] = [];
  const hits: FakeControl["hits"] = [];
  const confirms: ConfirmRequest[] = [];
  const lists = new Map<string, { state: ListState; tail: ListDelta[] }>();
  let handlers: AgentLinkHandlers | undefined;
  let heard: Parameters<AgentLink["followLists"]> | undefined;
  let desired: DesiredEnvelope | undefined;

  function putBlob(manifest: Manifest) {
    const text = canonicalJson(manifest);
    const digest = sha256Hex(text);
    blobs.set(digest, text);
    return { digest, bytes: Buffer.byteLength(text), chunks: 1 };
  }

  const control: FakeControl = {
    reports,
    pulses,
    hits,
    confirms,
    confirm: async () => ({ ok: true }),
    async connect(of) {
      handlers = of;
      return link;
    },
    issue(manifest, generation, epoch = 1, byHandMs) {
      desired = { v: 1, server: SERVER, epoch, generation, manifest: putBlob(manifest), byHandMs };
      handlers?.onDesired();
      return desired;
    },
    plan(name, manifest) {
      const expiresAt = new Date(Date.now() + 60_000).toISOString();
      plans.set(name, { v: 1, server: SERVER, plan: name, manifest: putBlob(manifest), expiresAt });
      handlers?.onPlan(name);
    },
    list(name, added, del = [], until) {
      const { state, tail } = lists.get(name) ?? { state: emptyList(), tail: [] };
      const add = added.map((entry) => ({ entry, until }));
      const digest = digestAfter(state, add, del);
      const at = new Date().toISOString();
      const delta = {
        epoch: 1,
        list: name,
        rev: state.rev + 1,
        previous: state.digest,
        digest,
        add,
        del,
        at,
      };
      applyDelta(state, delta);
      lists.set(name, { state, tail: [...tail, delta] });
      if (heard?.[0].includes(name)) heard[1]({ ok: true, value: delta });
    },
    outcomes: () => reports.flatMap((report) => (report.kind === "outcome" ? [report] : [])),
    drifts: () => reports.flatMap((report) => (report.kind === "drift" ? [report] : [])),
  };

  const link: AgentLink = {
    server: SERVER,
    connected: () => true,
    fetchDesired: async () => desired && { ok: true, value: desired },
    async fetchPlan(name) {
      const plan = plans.get(name);
      return plan && { ok: true, value: plan };
    },
    async fetchList(name) {
      const list = lists.get(name);
      if (list === undefined) return undefined;
      const { rev, digest } = list.state;
      return { ok: true, value: { epoch: 1, list: name, rev, digest, tail: list.tail, retired: false } };
    },
    async fetchBlob({ digest }) {
      const text = blobs.get(digest);
      if (text === undefined) throw new Error("no such blob");
      return Buffer.from(text);
    },
    async *streamBlob(ref) {
      yield await link.fetchBlob(ref);
    },
    report: async (body) => void reports.push(body),
    pulse: (pulse) => void pulses.push(pulse),
    hits: async (told) => void hits.push(told),
    async confirm(request) {
      confirms.push(request);
      return await control.confirm(request);
    },
    followLists(names, onDelta) {
      heard = [names, onDelta];
    },
    close: async () => undefined,
  };
  return control;
}
