import type { EventType } from "../event.ts";

/**
 * What stands in logs: data of every type in every version it was ever written, all fields at least once. When a type
 * gets a new version, its examples are added under that number; those of the old ones stay as they are.
 */
type Examples = Record<EventType, Record<number, readonly Record<string, unknown>[]>>;

const origin = { policy: "web", revision: 3, line: 9, path: "firewall.filter.INPUT[0]" };
const difference = {
  driver: "iptables",
  object: "ip4/filter/SL-INPUT",
  kind: "changed",
  want: ["-A SL-INPUT -p tcp --dport 22 -j ACCEPT"],
  have: ["-A SL-INPUT -j DROP"],
  more: 2,
  origin,
};
const refusal = {
  step: "test",
  reason: "a test of the policy failed",
  origin,
  script: "-A SL-INPUT -p tcp --dport 22 -j ACCEPT",
  tests: [],
};
const of = { server: "web-1", generation: 4 };
const outcome = { ...of, manifest: "sha256-7f3a", rollout: "r-4k2mx9" };
const stats = { phasesMs: { rehearse: 41.5, apply: 3 }, writes: 2 };

export const STORED_EXAMPLES: Examples = {
  PolicyRevised: { 1: [{ policy: "web", revision: 1, digest: "sha256-01ab", text: "policy: web\n" }] },
  PolicyRetired: { 1: [{ policy: "web" }] },
  ServerAdded: { 1: [{ server: "web-1", labels: { role: "web" }, tokenHash: "9f86d081" }] },
  ServerEnrolled: { 1: [{ server: "web-1", publicKey: "MCowBQYDK2Vw", natsKey: "UABC" }] },
  ServerUninstalled: {
    1: [
      { server: "web-1", at: "2026-03-01T14:02:00.000Z", by: "root" },
      { server: "web-1", at: "2026-03-01T14:02:00.000Z" },
    ],
  },
  ServerLabelled: { 1: [{ server: "web-1", set: { role: "spare" }, unset: ["rack"] }] },
  AssignmentDecided: {
    1: [
      {
        ...{ ...of, epoch: 1, assigned: [{ policy: "web", revision: 3 }], manifest: "sha256-7f3a" },
        ...{ factsDigest: "sha256-44c0", rollout: "r-4k2mx9", cause: "rollout" },
      },
      { ...of, epoch: 2, assigned: [], manifest: "sha256-0000", factsDigest: "sha256-44c0", cause: "retire" },
    ],
  },
  ServerProven: { 1: [{ ...of, rollout: "r-4k2mx9", until: "2026-03-01T14:12:00.000Z" }] },
  ServerConfirmed: {
    1: [
      { ...outcome, stats, taken: [{ what: "chain ip4/filter/INPUT", text: "-A INPUT -j ACCEPT" }] },
      { ...of, manifest: "sha256-7f3a" },
    ],
  },
  ServerRefused: { 1: [{ ...outcome, refusal }] },
  ServerReverted: {
    1: [
      { ...outcome, refusal },
      { ...of, manifest: "sha256-7f3a", refusal: { step: "confirm", reason: "control can't be reached" } },
    ],
  },
  DriftDetected: {
    1: [
      {
        ...{ ...of, differences: [difference], action: "failed", reason: "the tool hangs" },
        by: { pid: 4711, tool: "iptables", user: "eve", command: "iptables -F" },
        ...{ detectedMs: 12.5, repairedMs: 60.25 },
      },
      { ...of, differences: [], action: "repaired" },
    ],
  },
  DriftRepairAsked: { 1: [{ server: "web-1" }] },
  MessageRejected: { 1: [{ server: "web-1", what: "an envelope", reason: "its signature is wrong" }] },
  ServerPaused: { 1: [{ server: "web-1", until: "2026-03-01T14:32:00.000Z" }] },
  ServerResumed: { 1: [{ server: "web-1" }] },
  PlanRequested: {
    1: [
      {
        ...{ plan: "p-7xk2m1", policy: "web", revision: 3, text: "policy: web\n", servers: ["web-1"] },
        ...{ warnings: { "web-1": ["nothing reaches this rule"] }, expiresAt: "2026-03-01T14:03:00.000Z" },
      },
      { plan: "p-7xk2m1", policy: "web", text: "", servers: [], expiresAt: "2026-03-01T14:03:00.000Z" },
    ],
  },
  PlanAnswered: {
    1: [
      {
        ...{ plan: "p-7xk2m1", server: "web-1", manifest: "sha256-7f3a", result: "refused", refusal },
        ...{ differences: [difference], warnings: ["a warning"] },
      },
      { plan: "p-7xk2m1", server: "web-2", result: "silent", differences: [], warnings: [] },
    ],
  },
  PlanFinished: { 1: [{ plan: "p-7xk2m1", result: "ok" }] },
  RolloutStarted: {
    1: [
      {
        ...{ rollout: "r-4k2mx9", kind: "rollout", policy: "web", revision: 3 },
        ...{ waves: [["web-1"], ["web-2"]], before: { "web-1": 2, "web-2": 0 }, byHandMs: 600_000 },
      },
      { rollout: "r-4k2mx9", kind: "rollback", policy: "web", revision: 0, waves: [["web-1"]], before: {} },
    ],
  },
  RolloutConfirmed: { 1: [{ rollout: "r-4k2mx9", servers: ["web-1"] }] },
  WaveStarted: { 1: [{ rollout: "r-4k2mx9", wave: 1, servers: ["web-1"] }] },
  RolloutCompleted: { 1: [{ rollout: "r-4k2mx9" }] },
  RolloutHalted: {
    1: [
      { rollout: "r-4k2mx9", reason: "web-1 undid it", server: "web-1" },
      { rollout: "r-1", reason: "by hand" },
    ],
  },
  ListCreated: { 1: [{ list: "bans", families: [4, 6], description: "who may not" }] },
  ListChanged: {
    1: [
      {
        ...{ list: "bans", rev: 2, previous: "00", digest: "5e", del: ["198.51.100.0/24"] },
        add: [{ entry: "203.0.113.7", until: "2026-03-01T15:02:00.000Z" }, { entry: "2001:db8::7" }],
      },
    ],
  },
  ListRetired: { 1: [{ list: "bans" }] },
  FeedReaderAdded: {
    1: [
      { reader: "billing", consumer: "billing-4k2mx9bb", from: 1 },
      { reader: "pager", consumer: "pager-7hq2wzcc", from: 4711, only: "RolloutHalted" },
    ],
  },
  FeedReaderRemoved: { 1: [{ reader: "billing", consumer: "billing-4k2mx9bb" }] },
  FleetFrozen: { 1: [{}] },
  FleetThawed: { 1: [{}] },
  EpochOpened: { 1: [{ epoch: 2 }] },
  ActorErased: { 1: [{ events: 17 }] },
  SigningKeyChanged: { 1: [{ upTo: 4_711, from: "MCow", to: "MCox", sigs: [{ kid: "a1b2", sig: "c2ln" }] }] },
  LogArchived: {
    1: [
      {
        ...{ from: 1, to: 100_000, until: "2026-01-31T23:59:58.000Z", hash: "5e88", root: "77ab" },
        ...{ file: "9f86", bytes: 81_000_000, kept: 2, keptDigest: "2c62", kid: "a1b2", sig: "c2ln" },
      },
    ],
  },
};
