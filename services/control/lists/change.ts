import type { ChangeListView, changeListInput } from "@sluice/proto/api/lists";
import { SluiceError } from "@sluice/proto/base/errors";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { appendToBook, mustBeThere } from "./append.ts";
import { decideChange } from "./decide.ts";
import { readEntries } from "./entries.ts";

/** Adds and removes addresses: all of them, or, where any of them can't be, none. */
export async function changeList(
  ctx: Context,
  { list, add, del, forMs, reason }: z.output<typeof changeListInput>,
): Promise<ChangeListView> {
  const until = forMs === undefined ? undefined : new Date(ctx.clock.now().getTime() + forMs).toISOString();
  let asked = 0;
  const { decision } = await appendToBook(ctx, list, reason, (book) => {
    mustBeThere(book);
    const wanted = readEntries(add, book, ctx.protected);
    const unwanted = readEntries(del, book);
    const problems = [...wanted.problems, ...unwanted.problems];
    if (problems.length > 0) throw refusalOf(list, problems);
    asked = wanted.entries.length + unwanted.entries.length;
    const entries = wanted.entries.map((entry) => ({ entry, ...(until && { until }) }));
    return decideChange(book, { add: entries, del: unwanted.entries });
  });
  const { added, renewed, removed, rev, entries } = decision;
  return {
    ...{ list, rev, added, renewed, removed, entries },
    unchanged: asked - added - renewed - removed,
    ...(until && { until }),
  };
}

function refusalOf(list: string, problems: SluiceError["problems"]): SluiceError {
  const isProtected = problems.some(({ message }) => message.includes("protected"));
  return new SluiceError(
    isProtected ? "REFUSED" : "INVALID",
    `${problems.length} of the addresses can't be in ${list}: ${problems[0]?.found} ${problems[0]?.message}`,
    { problems, cure: "leave them out; nothing was changed" },
  );
}
