import { z } from "zod";
import { difference } from "../manifest/difference.ts";
import { familyNumber } from "../manifest/manifest.ts";
import { archive } from "../wire/archive.ts";
import { listEntry } from "../wire/list.ts";
import { applyStats, culprit, refusal, takenOver } from "../wire/report.ts";
import { signedSuccession } from "../wire/succession.ts";

/**
 * Every event there is: one recorded decision or outcome. The log is the truth, every table beside it can be rebuilt.
 *
 * A stored event is never changed. When a type's shape must change, its number in SCHEMA_VERSIONS goes up, an upcaster is
 * added in `upcast.ts`, and examples of the new version in `stored/examples.ts`; those of the old one stay.
 *
 * Streams: `policy-NAME`, `server-NAME`, `plan-ID`, `rollout-ID`, `list-NAME`, `reader-NAME`, `fleet`, `log`.
 */
const policyRef = { policy: z.string(), revision: z.int().min(1) };

export const eventData = {
  // policy-NAME
  PolicyRevised: z.strictObject({ ...policyRef, digest: z.string(), text: z.string() }),
  PolicyRetired: z.strictObject({ policy: z.string() }),

  // server-NAME
  ServerAdded: z.strictObject({
    server: z.string(),
    labels: z.record(z.string(), z.string()),
    tokenHash: z.string(),
  }),
  ServerEnrolled: z.strictObject({ server: z.string(), publicKey: z.string(), natsKey: z.string() }),
  /** nothing of ours is left in its kernel, and its agent doesn't run until it is enrolled anew; `at` by its own clock */
  ServerUninstalled: z.strictObject({ server: z.string(), at: z.string(), by: z.string().optional() }),
  ServerLabelled: z.strictObject({
    server: z.string(),
    set: z.record(z.string(), z.string()),
    unset: z.array(z.string()),
  }),
  /** the only way a server comes to hold something: what it holds as a whole, and the manifest that makes */
  AssignmentDecided: z.strictObject({
    server: z.string(),
    epoch: z.int(),
    generation: z.int(),
    assigned: z.array(z.strictObject(policyRef)),
    manifest: z.string(),
    factsDigest: z.string(),
    rollout: z.string().optional(),
    cause: z.enum(["rollout", "rollback", "revert", "facts", "enrolment", "labels", "retire"]),
  }),
  /** applied, verified and reachable: it waits for a person until then */
  ServerProven: z.strictObject({
    server: z.string(),
    generation: z.int(),
    rollout: z.string(),
    until: z.string(),
  }),
  ServerConfirmed: z.strictObject({
    server: z.string(),
    generation: z.int(),
    manifest: z.string(),
    rollout: z.string().optional(),
    stats: applyStats.optional(),
    taken: z.array(takenOver).optional(),
  }),
  ServerRefused: z.strictObject({
    server: z.string(),
    generation: z.int(),
    manifest: z.string(),
    rollout: z.string().optional(),
    refusal,
  }),
  ServerReverted: z.strictObject({
    server: z.string(),
    generation: z.int(),
    manifest: z.string(),
    rollout: z.string().optional(),
    refusal,
  }),
  DriftDetected: z.strictObject({
    server: z.string(),
    generation: z.int(),
    differences: z.array(difference),
    by: culprit.optional(),
    action: z.enum(["repaired", "reported", "failed"]),
    reason: z.string().optional(),
    detectedMs: z.number().optional(),
    repairedMs: z.number().optional(),
  }),
  DriftRepairAsked: z.strictObject({ server: z.string() }),
  MessageRejected: z.strictObject({ server: z.string(), what: z.string(), reason: z.string() }),
  ServerPaused: z.strictObject({ server: z.string(), until: z.string() }),
  ServerResumed: z.strictObject({ server: z.string() }),

  // plan-ID
  PlanRequested: z.strictObject({
    plan: z.string(),
    policy: z.string(),
    /** absent where the text isn't stored as a revision */
    revision: z.int().min(1).optional(),
    text: z.string(),
    servers: z.array(z.string()),
    /** what compiling found worth saying, by server; added to that server's answer */
    warnings: z.record(z.string(), z.array(z.string())).optional(),
    expiresAt: z.string(),
  }),
  PlanAnswered: z.strictObject({
    plan: z.string(),
    server: z.string(),
    manifest: z.string().optional(),
    result: z.enum(["ok", "refused", "silent"]),
    refusal: refusal.optional(),
    differences: z.array(difference),
    warnings: z.array(z.string()),
  }),
  PlanFinished: z.strictObject({ plan: z.string(), result: z.enum(["ok", "refused"]) }),

  // rollout-ID
  RolloutStarted: z.strictObject({
    rollout: z.string(),
    kind: z.enum(["rollout", "rollback"]),
    policy: z.string(),
    /** 0 where the policy is taken off the servers */
    revision: z.int().min(0),
    waves: z.array(z.array(z.string()).min(1)),
    /** per server: the revision it held before, 0 for none */
    before: z.record(z.string(), z.int().min(0)),
    /** people confirm, within this time from when control would */
    byHandMs: z.int().min(1).optional(),
  }),
  /** somebody looked, and has these servers confirm what they apply */
  RolloutConfirmed: z.strictObject({ rollout: z.string(), servers: z.array(z.string()) }),
  WaveStarted: z.strictObject({ rollout: z.string(), wave: z.int().min(1), servers: z.array(z.string()) }),
  RolloutCompleted: z.strictObject({ rollout: z.string() }),
  RolloutHalted: z.strictObject({ rollout: z.string(), reason: z.string(), server: z.string().optional() }),

  // list-NAME
  ListCreated: z.strictObject({
    list: z.string(),
    families: z.array(familyNumber),
    description: z.string(),
  }),
  ListChanged: z.strictObject({
    list: z.string(),
    rev: z.int().min(1),
    previous: z.string(),
    digest: z.string(),
    add: z.array(listEntry),
    del: z.array(z.string()),
  }),
  /** always empty then: a ListChanged that takes everything out comes before it */
  ListRetired: z.strictObject({ list: z.string() }),

  // reader-NAME
  /** `consumer` is its place in the feed, kept by the broker, and a name that is used once; `from` is the first seq it gets */
  FeedReaderAdded: z.strictObject({
    reader: z.string(),
    consumer: z.string(),
    from: z.int().min(1),
    only: z.string().optional(),
  }),
  FeedReaderRemoved: z.strictObject({ reader: z.string(), consumer: z.string() }),

  // fleet
  FleetFrozen: z.strictObject({}),
  FleetThawed: z.strictObject({}),
  /** the database was restored: generations issued from here on count above all that were issued before */
  EpochOpened: z.strictObject({ epoch: z.int().min(2) }),

  // log
  /** the events up to `to` are in files; what of them isn't kept is dropped. `sig`: control's, over all of it but `kid` and itself */
  LogArchived: archive.extend({ kid: z.string(), sig: z.string() }),
  /** another key signs from here on */
  SigningKeyChanged: signedSuccession,
  /** a person's name and reasons are gone from this many events; whose isn't said */
  ActorErased: z.strictObject({ events: z.int().min(0) }),
} as const;

export type EventType = keyof typeof eventData;
export type EventData<T extends EventType> = z.infer<(typeof eventData)[T]>;

/** The version in which each type is written today; 1 where it isn't listed. */
export const SCHEMA_VERSIONS: Partial<Record<EventType, number>> = {};

/** Who did it, why, when, and what it belongs to (one command and all that follows from it share a correlation). */
export interface EventMeta {
  at: string;
  actor: string;
  reason: string;
  correlation: string;
}

/** An event of a known type; `SluiceEvent` is the union over all types, told apart by `type`. */
export type EventOf<T extends EventType> = { type: T; data: EventData<T> };
export type SluiceEvent = { [T in EventType]: EventOf<T> }[EventType];

export const EVENT_TYPES = Object.keys(eventData) as EventType[];

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(eventData, type);
}

export const streamOf = {
  policy: (name: string) => `policy-${name}`,
  server: (name: string) => `server-${name}`,
  plan: (id: string) => `plan-${id}`,
  rollout: (id: string) => `rollout-${id}`,
  list: (name: string) => `list-${name}`,
  reader: (name: string) => `reader-${name}`,
  fleet: () => "fleet",
  log: () => "log",
} as const;
