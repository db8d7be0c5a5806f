import type { RemoveReaderView, removeReaderInput } from "@sluice/proto/api/feed";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { z } from "zod";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideRemoveReader, readerEntity } from "./decide.ts";
import { shortly } from "./shortly.ts";

/** Takes a reader's consumer away, for good: that is all that its login opens. */
export async function removeReader(
  ctx: Context,
  { reader, reason }: z.output<typeof removeReaderInput>,
): Promise<RemoveReaderView> {
  const { events } = await execute(ctx, {
    stream: streamOf.reader(reader),
    entity: readerEntity,
    reason,
    decide: (state) => decideRemoveReader(state, reader),
  });
  const [removed] = events;
  if (removed?.type !== "FeedReaderRemoved") throw new SluiceError("INTERNAL", "no reader was removed");
  const { consumer } = removed.data;
  return { reader, consumer, inEffect: await shortly(() => ctx.link.dropReader(consumer)) };
}
