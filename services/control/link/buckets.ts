import type { JetStreamManager } from "@nats-io/jetstream";
import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { BUCKETS, STREAM_NAMES, STREAMS } from "@sluice/proto/wire/subjects";

export interface Buckets {
  desired: KV;
  plans: KV;
  lists: KV;
  blobs: KV;
}

/** Opens the buckets, making those that are missing. Agents read them by direct get, so it is always allowed. */
export async function openBuckets(connection: NatsConnection): Promise<Buckets> {
  const manager = new Kvm(connection);
  const open = (name: string) => manager.create(name, { history: 1, allow_direct: true });
  return {
    desired: await open(BUCKETS.desired),
    plans: await open(BUCKETS.plans),
    lists: await open(BUCKETS.lists),
    blobs: await open(BUCKETS.blobs),
  };
}

const DAY_NS = 24 * 3600 * 1e9;

export async function missingStreams(manager: JetStreamManager): Promise<string[]> {
  const present = await presentStreams(manager);
  return STREAM_NAMES.filter((name) => !present.has(name));
}

async function presentStreams(manager: JetStreamManager): Promise<Set<string>> {
  const present = new Set<string>();
  for await (const name of manager.streams.names()) present.add(name);
  return present;
}

/** Makes the streams that are missing; one that is there is left as its owner set it. */
export async function ensureStreams(manager: JetStreamManager): Promise<void> {
  const wanted = [
    { ...STREAMS.events, max_age: 0 },
    { ...STREAMS.lists, max_age: 7 * DAY_NS },
    { ...STREAMS.reports, max_age: 30 * DAY_NS },
    // what was signed of the log outlives what somebody makes of the log
    { ...STREAMS.checkpoints, max_age: 0, deny_delete: true, deny_purge: true },
  ];
  const present = await presentStreams(manager);
  for (const { name, subjects, ...own } of wanted) {
    if (present.has(name)) continue;
    await manager.streams.add({
      ...own,
      name,
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
    });
  }
}
