import type { Opened } from "@sluice/proto/base/sign";
import type {
  Ask,
  BlobRef,
  ConfirmReply,
  ConfirmRequest,
  DesiredEnvelope,
  PlanEnvelope,
} from "@sluice/proto/wire/envelope";
import type { Hits } from "@sluice/proto/wire/hits";
import type { ListDelta, ListHead } from "@sluice/proto/wire/list";
import type { AskReply, ControlPulse, Pulse, ReportBody } from "@sluice/proto/wire/report";

/**
 * NATS as the rest of the agent sees it. Signatures are checked here, against the keys pinned at enrolment:
 * what comes out of `fetch…` and the handlers is control's word or `{ok: false}`.
 */
export interface AgentLink {
  readonly server: string;
  connected(): boolean;
  /** undefined: nothing is there for this server */
  fetchDesired(): Promise<Opened<DesiredEnvelope> | undefined>;
  fetchPlan(plan: string): Promise<Opened<PlanEnvelope> | undefined>;
  fetchList(list: string): Promise<Opened<ListHead> | undefined>;
  /** Throws when chunks are missing or the digest doesn't match. */
  fetchBlob(ref: BlobRef): Promise<Uint8Array>;
  /** The same piece by piece: what came must not be believed before the end was reached without a throw. */
  streamBlob(ref: BlobRef): AsyncIterable<Uint8Array>;
  /** Spooled on disk first, so that it survives; delivered in order, once control's stream has it. */
  report(body: ReportBody): Promise<void>;
  pulse(pulse: Pulse): void;
  /** Resolves once control has it; throws while it can't be told. */
  hits(hits: Omit<Hits, "v" | "server">): Promise<void>;
  /** Over a NEW connection made for this call: proof that one can be made now. Throws when it can't within the time. */
  confirm(request: ConfirmRequest, timeoutMs: number): Promise<ConfirmReply>;
  /** From now on hear deltas of exactly these lists. */
  followLists(lists: readonly string[], onDelta: (delta: Opened<ListDelta>) => void): void;
  close(): Promise<void>;
}

export interface AgentLinkHandlers {
  /** also called after every (re)connection */
  onDesired(): void;
  onPlan(plan: string): void;
  onAsk(ask: Ask): Promise<AskReply>;
  onControlPulse(pulse: ControlPulse): void;
}
