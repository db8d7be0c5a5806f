import type { JetStreamManager } from "@nats-io/jetstream";
import { AckPolicy, DeliverPolicy, JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { STREAMS, subjects } from "@sluice/proto/wire/subjects";
import type { FeedConsumer, ReaderPlace } from "./link.ts";

const STREAM = STREAMS.events.name;

/** One that is there is left as it is: where it stands is its own. */
export async function putReader(
  manager: JetStreamManager,
  { consumer, from, only }: FeedConsumer,
): Promise<boolean> {
  if ((await readerPlace(manager, consumer)) !== undefined) return true;
  const { last_seq: end } = (await manager.streams.info(STREAM)).state;
  if (end < from - 1) return false;
  await manager.consumers.add(STREAM, {
    durable_name: consumer,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: from,
    ...(only !== undefined && { filter_subject: subjects.event(only) }),
  });
  return true;
}

export async function readerPlace(
  manager: JetStreamManager,
  consumer: string,
): Promise<ReaderPlace | undefined> {
  return await unlessMissing(async () => {
    const { ack_floor, num_pending, num_ack_pending } = await manager.consumers.info(STREAM, consumer);
    return { acked: ack_floor.stream_seq, waiting: num_pending + num_ack_pending };
  });
}

export async function dropReader(manager: JetStreamManager, consumer: string): Promise<boolean> {
  await unlessMissing(() => manager.consumers.delete(STREAM, consumer));
  return true;
}

async function unlessMissing<T>(action: () => Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound)
      return undefined;
    throw error;
  }
}
