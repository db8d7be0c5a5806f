import type { RetireListView } from "@sluice/proto/api/lists";
import { exclusively } from "../context/exclusively.ts";
import type { Context } from "../context/services.ts";
import { appendToBook, mustBeThere } from "./append.ts";
import { decideRetire } from "./decide.ts";
import { usersOf } from "./ls.ts";

/** Retires a list that no assigned policy uses. Stands in line with rollouts, so that none starts meanwhile. */
export async function retireList(
  ctx: Context,
  { list, reason }: { list: string; reason: string },
): Promise<RetireListView> {
  return await exclusively(ctx, "rollouts", async () => {
    const users = (await usersOf(ctx)).get(list) ?? [];
    await appendToBook(ctx, list, reason, (book) => {
      mustBeThere(book);
      return { events: decideRetire(book, users) };
    });
    return { list };
  });
}
