import type { Database } from "@sluice/db/connect";
import type { EventData } from "@sluice/proto/events/event";
import { EMPTY_LIST_DIGEST } from "@sluice/proto/wire/list-digest";
import { copyInto } from "./copy.ts";
import type { Told } from "./story.ts";

/**
 * The tables that questions read, as control's projections would have made them of the same events: a test holds the two
 * against each other. Applied one by one, ten million events would take hours.
 */
export interface Tables {
  take(told: Told, seq: number): void;
  drained(): Promise<void>;
  end(): Promise<void>;
}

interface Decided {
  at: string;
  actor: string;
  reason: string;
}
type Generation = EventData<"AssignmentDecided"> & Decided;
type Outcome = { outcome: string; outcomeAt: string; refusal?: unknown; stats?: unknown };
type Started = EventData<"RolloutStarted"> & Decided & { wave: number };

export async function openTables(database: Database): Promise<Tables> {
  const open = (table: string, columns: string) => copyInto(database, table, columns.split(" "));
  const policies = await open("policies", "policy revision digest retired at actor reason");
  const revisions = await open("policy_revisions", "policy revision digest text at actor reason");
  const servers = await open("servers", "server labels token_hash public_key added_at enrolled_at");
  const assignments = await open(
    "assignments",
    "server generation epoch assigned manifest cause rollout at actor reason outcome outcome_at refusal stats",
  );
  const rollouts = await open(
    "rollouts",
    "rollout kind policy revision waves before state wave halted_because halted_by at actor reason ended_at",
  );
  const lists = await open(
    "lists",
    "list families description rev digest entries version retired at actor reason",
  );
  const listRevisions = await open("list_revisions", "list rev digest entries at");
  const spans = await open("list_spans", "list entry since_rev until_rev until");
  const labelled = await open("server_labels", "server seq at labels");
  const holders = await open("policy_servers", "policy server");
  const all = [
    labelled,
    holders,
    policies,
    revisions,
    servers,
    assignments,
    rollouts,
    lists,
    listRevisions,
    spans,
  ];

  const held = new Set<string>();
  const newest = new Map<string, EventData<"PolicyRevised"> & Decided>();
  const fleet = new Map<
    string,
    {
      labels: Record<string, string>;
      tokenHash: string;
      key: string | null;
      added: string;
      enrolled: string | null;
    }
  >();
  const pending = new Map<string, Generation>();
  const running = new Map<string, Started>();
  const live = new Map<
    string,
    {
      created: EventData<"ListCreated">;
      rev: number;
      digest: string;
      version: number;
      by: Decided;
      entries: Map<string, { since: number; until: string | null }>;
    }
  >();

  function settle(server: string, outcome?: Outcome): void {
    const one = pending.get(server);
    pending.delete(server);
    if (one === undefined) return;
    assignments.row([
      ...[one.server, one.generation, one.epoch, JSON.stringify(one.assigned), one.manifest, one.cause],
      ...[
        one.rollout ?? null,
        one.at,
        one.actor,
        one.reason,
        outcome?.outcome ?? null,
        outcome?.outcomeAt ?? null,
      ],
      ...[outcome?.refusal, outcome?.stats].map((value) =>
        value === undefined ? null : JSON.stringify(value),
      ),
    ]);
  }

  function holds(policy: string, server: string): void {
    const pair = `${policy} ${server}`;
    if (held.has(pair)) return;
    held.add(pair);
    holders.row([policy, server]);
  }

  function endRollout(
    rollout: string,
    state: string,
    because: string,
    by: string | null,
    endedAt: string | null,
  ): void {
    const one = running.get(rollout);
    running.delete(rollout);
    if (one === undefined) return;
    rollouts.row([
      ...[
        one.rollout,
        one.kind,
        one.policy,
        one.revision,
        JSON.stringify(one.waves),
        JSON.stringify(one.before),
      ],
      ...[state, one.wave, because, by, one.at, one.actor, one.reason, endedAt],
    ]);
  }

  return {
    take({ event, actor, reason, at }, seq) {
      const by = { at, actor, reason };
      switch (event.type) {
        case "PolicyRevised": {
          const { policy, revision, digest, text } = event.data;
          revisions.row([policy, revision, digest, text, at, actor, reason]);
          newest.set(policy, { ...event.data, ...by });
          return;
        }
        case "ServerAdded": {
          const { server, labels, tokenHash } = event.data;
          fleet.set(server, { labels, tokenHash, key: null, added: at, enrolled: null });
          labelled.row([server, seq, at, JSON.stringify(labels)]);
          return;
        }
        case "ServerEnrolled": {
          const one = fleet.get(event.data.server);
          if (one) Object.assign(one, { key: event.data.publicKey, enrolled: at });
          return;
        }
        case "ServerLabelled": {
          const one = fleet.get(event.data.server);
          if (one === undefined) return;
          one.labels = { ...one.labels, ...event.data.set };
          labelled.row([event.data.server, seq, at, JSON.stringify(one.labels)]);
          return;
        }
        case "AssignmentDecided":
          settle(event.data.server);
          pending.set(event.data.server, { ...event.data, ...by });
          for (const { policy } of event.data.assigned) holds(policy, event.data.server);
          return;
        case "ServerConfirmed":
          settle(event.data.server, { outcome: "confirmed", outcomeAt: at, stats: event.data.stats });
          return;
        case "ServerReverted":
          settle(event.data.server, { outcome: "reverted", outcomeAt: at, refusal: event.data.refusal });
          return;
        case "RolloutStarted":
          running.set(event.data.rollout, { ...event.data, ...by, wave: 0 });
          return;
        case "WaveStarted": {
          const one = running.get(event.data.rollout);
          if (one) one.wave = event.data.wave;
          return;
        }
        case "RolloutCompleted":
          endRollout(event.data.rollout, "completed", "", null, at);
          return;
        case "RolloutHalted":
          endRollout(event.data.rollout, "halted", event.data.reason, event.data.server ?? null, at);
          return;
        case "ListCreated":
          live.set(event.data.list, {
            created: event.data,
            rev: 0,
            digest: EMPTY_LIST_DIGEST,
            version: 1,
            by,
            entries: new Map(),
          });
          return;
        case "ListChanged": {
          const { list, rev, digest, add, del } = event.data;
          const one = live.get(list);
          if (one === undefined) return;
          for (const entry of [...add.map((added) => added.entry), ...del]) {
            const open = one.entries.get(entry);
            if (open) spans.row([list, entry, open.since, rev, open.until]);
            one.entries.delete(entry);
          }
          for (const { entry, until } of add) one.entries.set(entry, { since: rev, until: until ?? null });
          Object.assign(one, { rev, digest, by, version: one.version + 1 });
          listRevisions.row([list, rev, digest, one.entries.size, at]);
          return;
        }
        default:
          return;
      }
    },

    async drained() {
      for (const copy of all) await copy.drained();
    },

    async end() {
      for (const server of [...pending.keys()]) settle(server);
      for (const rollout of [...running.keys()]) endRollout(rollout, "running", "", null, null);
      for (const { policy, revision, digest, at, actor, reason } of newest.values())
        policies.row([policy, revision, digest, false, at, actor, reason]);
      for (const [server, { labels, tokenHash, key, added, enrolled }] of fleet)
        servers.row([server, JSON.stringify(labels), tokenHash, key, added, enrolled]);
      for (const [list, { created, rev, digest, version, by, entries }] of live) {
        const { families, description } = created;
        lists.row([
          list,
          JSON.stringify(families),
          description,
          rev,
          digest,
          entries.size,
          version,
          false,
          by.at,
          by.actor,
          by.reason,
        ]);
        for (const [entry, { since, until }] of entries) spans.row([list, entry, since, null, until]);
      }
      await Promise.all(all.map((copy) => copy.end()));
    },
  };
}
