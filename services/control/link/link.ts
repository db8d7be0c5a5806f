import type { SignedMessage } from "@sluice/proto/base/sign";
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
import type { AskReply, ControlPulse, Pulse, Report } from "@sluice/proto/wire/report";

/**
 * NATS as the rest of control sees it. All puts are idempotent: the same value again changes nothing, so a loop that
 * crashed simply does its last step again. Every call waits while NATS is away, until its signal or timeout says stop.
 */
export interface LinkOut {
  /** NATS is there, and what servers report is heard */
  connected(): boolean;
  /** What somebody took away in the broker meanwhile is made again, and `onConnected` has it filled. */
  mend(): Promise<void>;
  /** Content-addressed and chunked; a blob that is there already costs one look. */
  putBlob(bytes: Uint8Array): Promise<BlobRef>;
  /** Signs, puts under the server's key, wakes it. An older (epoch, generation) than the stored one is not put. */
  putDesired(envelope: DesiredEnvelope): Promise<void>;
  putPlan(envelope: PlanEnvelope): Promise<void>;
  dropPlan(server: string, plan: string): Promise<void>;
  /** Publishes the delta on the list's subject and puts the head, so that who missed the one finds the other. */
  putList(delta: ListDelta | undefined, head: ListHead): Promise<void>;
  /** One stored event of the log onto the EVENTS stream: with its message id and the expected last sequence. */
  putEvent(seq: number, type: string, text: string): Promise<void>;
  /** the log position of the newest event in the EVENTS stream, 0 when empty */
  lastEvent(): Promise<number>;
  /** One signed checkpoint onto the CHECKPOINTS stream. */
  putCheckpoint(id: string, message: SignedMessage): Promise<void>;
  /** the text of the newest one in that stream; undefined where there is none */
  lastCheckpoint(): Promise<string | undefined>;
  /** an event in the EVENTS stream; undefined where it isn't there, or can't be asked now */
  eventText(seq: number): Promise<string | undefined>;
  /** Makes a reader's consumer where it is missing. False: not now, the feed doesn't reach so far yet, or NATS is away. */
  putReader(reader: FeedConsumer): Promise<boolean>;
  /** undefined where it isn't there; throws where that can't be said now */
  readerPlace(consumer: string): Promise<ReaderPlace | undefined>;
  /** True: it is gone, for now. */
  dropReader(consumer: string): Promise<boolean>;
  /** Tells servers a signed checkpoint, for them to witness it. */
  tellCheckpoint(message: SignedMessage): Promise<void>;
  ask(server: string, ask: Ask, timeoutMs: number): Promise<AskReply>;
  pulse(pulse: ControlPulse): Promise<void>;
}

/** A reader's place in the EVENTS stream, by name; made, it begins with the event `from`. */
export interface FeedConsumer {
  consumer: string;
  from: number;
  /** events of this type only */
  only?: string | undefined;
}

export interface ReaderPlace {
  /** every event up to it was acknowledged */
  acked: number;
  waiting: number;
}

/** What comes in. A report is acknowledged only after `onReport` resolved; it may come twice (same id). */
export interface LinkIn {
  /** after every (re)connection: a broker may have come back empty, so put again what it must hold */
  onConnected(): void;
  /** a server's report key (SPKI, base64), undefined for an unknown server */
  reportKey(server: string): Promise<string | undefined>;
  onReport(report: Report): Promise<void>;
  onPulse(pulse: Pulse): void;
  /** Resolves once they are kept. */
  onHits(hits: Hits): Promise<void>;
  onConfirm(server: string, request: ConfirmRequest): Promise<ConfirmReply>;
}
