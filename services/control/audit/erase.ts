import { countEvents, eraseActor } from "@sluice/db/log/erase";
import type { EraseView, eraseInput } from "@sluice/proto/api/archive";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { z } from "zod";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { archivedSince } from "./archived-files.ts";
import { logEntity } from "./log-state.ts";

/**
 * Erases a person, as who did something and with the reasons they gave. The log says first that it is done, by whom and
 * why, and not whose name it was: what is erased must not stand in what says so.
 */
export async function eraseFromLog(
  ctx: Context,
  { actor, reason }: z.output<typeof eraseInput>,
): Promise<EraseView> {
  const events = await countEvents(ctx.database, actor);
  if (events === 0)
    throw new SluiceError("NOT_FOUND", "no event in the database has this name", {
      cure: "names are those that sluice audit log shows; archives are erased by hand (docs/audit.md)",
    });
  if (reason.toLowerCase().includes(actor.toLowerCase()))
    throw new SluiceError("REFUSED", "the reason has the name in it that is to be erased", {
      cure: "say it without the name: the number of the request, for example",
    });
  await execute(ctx, {
    stream: streamOf.log(),
    entity: logEntity,
    reason,
    decide: () => [{ type: "ActorErased", data: { events } }],
  });
  await eraseActor(ctx.database, actor);
  const { archived = [] } = await archivedSince(ctx);
  return { events, archives: archived };
}
