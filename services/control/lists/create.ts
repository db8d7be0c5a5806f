import type { createListInput, ListRowView } from "@sluice/proto/api/lists";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { appendToBook } from "./append.ts";
import { decideCreate } from "./decide.ts";
import { listRow } from "./ls.ts";

export async function createList(
  ctx: Context,
  { list, families, description, reason }: z.output<typeof createListInput>,
): Promise<ListRowView> {
  await appendToBook(ctx, list, reason, (book) => ({
    events: decideCreate(book, { list, families, description }),
  }));
  return await listRow(ctx, list);
}
