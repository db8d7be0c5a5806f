import type { Database } from "@sluice/db/connect";
import type { Appender } from "@sluice/db/log/append";
import type { Projector } from "@sluice/db/projections/projector";
import type { Problem } from "@sluice/proto/base/errors";
import type { Domain, KeySet, SignedMessage } from "@sluice/proto/base/sign";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Signers } from "@sluice/proto/wire/succession";
import type { Witnesses } from "../audit/witnesses.ts";
import type { CompileInput, CompileResult } from "../compile/input.ts";
import type { HitBook } from "../hits/hit-book.ts";
import type { LinkOut } from "../link/link.ts";
import type { ListBooks } from "../lists/books.ts";
import type { Documents } from "../policies/documents.ts";
import type { Protected } from "../servers/protected.ts";
import type { Pulses } from "../servers/pulses.ts";
import type { Hub } from "./hub.ts";
import type { KeyedQueue } from "./keyed-queue.ts";
import type { Listening } from "./listening.ts";

export interface Clock {
  now(): Date;
}

export interface Ids {
  /** lower-case UUID, for an event or a correlation */
  uuid(): string;
  /** short, for people to type: `r-4k2mx9` */
  short(prefix: string): string;
}

export interface Logger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

export interface Timings {
  /** a server whose last pulse is older isn't connected */
  disconnectedAfterMs: number;
  /** beyond a manifest's own deadline, before a server without an outcome counts as silent */
  silenceGraceMs: number;
  /** how often deadlines of plans and rollouts are looked at */
  sweepMs: number;
  /** how often entries past their time are taken out of lists */
  listSweepMs: number;
  controlPulseMs: number;
  /** how often it is looked whether a checkpoint of the log is due */
  checkpointLookMs: number;
  /** how long an event may stand without a signed checkpoint */
  checkpointMs: number;
}

/** What an agent is told at its enrolment. */
export interface Enrolment {
  keys: KeySet;
  natsUrls: readonly string[];
  /** `ip:port` of control and NATS, as agents reach them */
  control: readonly string[];
  /** a login for the agent's own nkey; absent where the broker takes plain connections */
  issueJwt?: ((server: string, natsKey: string) => Promise<string>) | undefined;
  /** a login for a reader of the feed, likewise */
  issueCredentials?: ((consumer: string) => Promise<string>) | undefined;
}

export type ParsePolicy = (
  text: string,
  file?: string,
) => { ok: true; document: PolicyDocument } | { ok: false; problems: Problem[] };

/** All that control's verbs work with: made once by startControl, given to each of them. */
export interface Services {
  database: Database;
  appender: Pick<Appender, "append">;
  projections: Pick<Projector, "waitFor" | "catchUp">;
  /** what only questions about the past read; commands don't wait for it */
  past: Pick<Projector, "waitFor" | "catchUp">;
  link: LinkOut;
  clock: Clock;
  ids: Ids;
  log: Logger;
  epoch: number;
  timings: Timings;
  enrolment: Enrolment;
  /** whose signature of the log counts: control's own key, and those it had before */
  signers: Signers;
  /** with the key that agents pin */
  sign: (domain: Domain, value: unknown) => SignedMessage;
  compile: (input: CompileInput) => CompileResult;
  parsePolicy: ParsePolicy;
  queue: KeyedQueue;
  listening: Listening;
  hub: Hub;
  documents: Documents;
  pulses: Pulses;
  witnesses: Witnesses;
  hits: HitBook;
  protected: Protected;
  books: ListBooks;
  /** manifest → how long a server has for it; what has been read once */
  deadlines: Map<string, number>;
  /** compile key → its result: servers that are alike compile once */
  compiled: Map<string, CompileMemo>;
}

export type CompileMemo =
  | { ok: true; digest: string; warnings: readonly string[] }
  | { ok: false; problems: readonly Problem[] };

/** One command or question: the services, and who asks. What follows from it shares its correlation. */
export interface Context extends Services {
  actor: string;
  correlation: string;
}

/** Sluice itself, acting on what came before under `correlation`. */
export function asSluice(services: Services, correlation: string): Context {
  return { ...services, actor: "sluice", correlation };
}
