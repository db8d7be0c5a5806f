import { readHead } from "@sluice/db/log/read";
import type { AddReaderView, addReaderInput } from "@sluice/proto/api/feed";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import { inboxPrefix } from "@sluice/proto/wire/permissions";
import { STREAMS } from "@sluice/proto/wire/subjects";
import type { z } from "zod";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideAddReader, readerEntity } from "./decide.ts";
import { shortly } from "./shortly.ts";

/** Adds a reader of the feed, and makes its one login, which is kept nowhere. */
export async function addReader(
  ctx: Context,
  { reader, from, only, reason }: z.output<typeof addReaderInput>,
): Promise<AddReaderView> {
  const { database, enrolment, ids, link } = ctx;
  const consumer = ids.short(reader);
  const credentials = await enrolment.issueCredentials?.(consumer);
  const { seq: head } = await readHead(database.db);
  const { events } = await execute(ctx, {
    stream: streamOf.reader(reader),
    entity: readerEntity,
    reason,
    decide: (state) => decideAddReader(state, { reader, consumer, from, only, head }),
  });
  const [added] = events;
  if (added?.type !== "FeedReaderAdded") throw new SluiceError("INTERNAL", "no reader was added");
  return {
    ...added.data,
    stream: STREAMS.events.name,
    nats: [...enrolment.natsUrls],
    inboxPrefix: inboxPrefix(consumer),
    inEffect: await shortly(() => link.putReader(added.data)),
    ...(credentials !== undefined && { credentials }),
  };
}
