import { listTable } from "@sluice/db/schema/lists";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { ListRowView } from "@sluice/proto/api/lists";
import { SluiceError } from "@sluice/proto/base/errors";
import { and, asc, eq, gt } from "drizzle-orm";
import { standings } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { listsNamedIn } from "./named-in.ts";

export async function listLists(ctx: Context): Promise<ListRowView[]> {
  return await rows(ctx);
}

/** One list's row; throws NOT_FOUND where there is none. */
export async function listRow(ctx: Context, list: string): Promise<ListRowView> {
  const [row] = await rows(ctx, list);
  if (row) return row;
  throw new SluiceError("NOT_FOUND", `there is no list ${list}`);
}

/** For each list, the policies that name it: their assigned revisions, and those that are being rolled out. */
export async function usersOf(ctx: Context): Promise<Map<string, string[]>> {
  const assigned = [...(await standings(ctx)).values()].flatMap(({ newest }) => newest.assigned);
  const coming = await ctx.database.db
    .select({ policy: rolloutTable.policy, revision: rolloutTable.revision })
    .from(rolloutTable)
    .where(and(eq(rolloutTable.state, "running"), gt(rolloutTable.revision, 0)));
  const distinct = new Map([...assigned, ...coming].map((one) => [`${one.policy}@${one.revision}`, one]));
  const users = new Map<string, Set<string>>();
  for (const { policy, revision } of distinct.values()) {
    const lists = listsNamedIn(await ctx.documents.of(ctx, policy, revision));
    for (const list of lists) users.set(list, (users.get(list) ?? new Set()).add(policy));
  }
  return new Map([...users].map(([list, policies]) => [list, [...policies].sort()]));
}

async function rows(ctx: Context, list?: string): Promise<ListRowView[]> {
  const one = list === undefined ? undefined : eq(listTable.list, list);
  const [found, users] = await Promise.all([
    ctx.database.db
      .select()
      .from(listTable)
      .where(and(eq(listTable.retired, false), one))
      .orderBy(asc(listTable.list)),
    usersOf(ctx),
  ]);
  return found.map(({ list, families, description, rev, digest, entries, at, actor, reason }) => ({
    ...{ list, families, description, rev, digest, entries },
    usedBy: users.get(list) ?? [],
    changed: { at, actor, reason },
  }));
}
