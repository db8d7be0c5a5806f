import type { RetireListView } from "@sluice/proto/api/lists";
import type { Context } from "../context/services.ts";
import { appendToBook, mustBeThere } from "./append.ts";
import { decideRetire } from "./decide.ts";
import { usersOf } from "./ls.ts";

/** Retires a list that no assigned policy uses. */
export async function retireList(
  ctx: Context,
  { list, reason }: { list: string; reason: string },
): Promise<RetireListView> {
  const users = (await usersOf(ctx)).get(list) ?? [];
  await appendToBook(ctx, list, reason, (book) => {
    mustBeThere(book);
    return { events: decideRetire(book, users) };
  });
  return { list };
}
