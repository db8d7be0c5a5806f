import { lastUntil } from "@sluice/db/history/last-until";
import { queryHistory } from "@sluice/db/history/query";
import { policyRevisionTable } from "@sluice/db/schema/policies";
import type { AuditAtView, auditAtInput } from "@sluice/proto/api/audit";
import { SluiceError } from "@sluice/proto/base/errors";
import { and, desc, eq, lte } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { listsNamedIn } from "../lists/named-in.ts";
import { archivedSince } from "./archived-files.ts";
import { contentAt, type ListAt, listsAt } from "./lists-at.ts";
import { serversAt } from "./servers-at.ts";

type Asking = Pick<Context, "database" | "documents" | "past">;
type Asked = z.output<typeof auditAtInput>;
type ServerAt = AuditAtView["servers"][number];

const ENTRIES_OF_A_SERVER = 50;
const ENTRIES_OF_A_LIST = 1_000;

/** What was in force at a time, for one server, policy or list, or for the fleet. */
export async function auditAt(ctx: Asking, input: Asked): Promise<AuditAtView> {
  mustBeOne(input);
  const time = new Date(input.time).toISOString();
  const seq = await lastUntil(ctx.database.db, time);
  await ctx.past.waitFor(seq);
  const frozen = await frozenAt(ctx, time);
  const common = { time, seq, frozen, ...(await archivedSince(ctx, time)) };
  if (input.list !== undefined) return { ...common, servers: [], ...(await listView(ctx, time, input)) };
  const { limit } = input;
  const policy = input.policy === undefined ? undefined : await policyAt(ctx, input.policy, time);
  const found = await serversAt(ctx, time, { ...input, limit: limit === undefined ? undefined : limit + 1 });
  if (input.server !== undefined && found.length === 0)
    throw new SluiceError("NOT_FOUND", `there was no server ${input.server} at ${time}`);
  const servers = found.slice(0, limit);
  const more = found.length > servers.length ? servers.at(-1)?.server : undefined;
  return {
    ...common,
    servers,
    lists: await listsOf(ctx, time, input, servers),
    ...(policy !== undefined && { policy }),
    ...(more !== undefined && { next: more }),
  };
}

function mustBeOne({ server, policy, list }: Asked): void {
  if ([server, policy, list].filter((one) => one !== undefined).length < 2) return;
  throw new SluiceError("INVALID", "one server, one policy or one list can be asked for, not two of them");
}

async function frozenAt({ database }: Pick<Context, "database">, to: string): Promise<boolean> {
  const types = ["FleetFrozen", "FleetThawed"];
  const { rows } = await queryHistory(database, { types, to, limit: 1 });
  return rows[0]?.type === "FleetFrozen";
}

/** Throws NOT_FOUND where there was none. */
async function policyAt(
  { database }: Pick<Context, "database">,
  policy: string,
  time: string,
): Promise<NonNullable<AuditAtView["policy"]>> {
  const [row] = await database.db
    .select()
    .from(policyRevisionTable)
    .where(and(eq(policyRevisionTable.policy, policy), lte(policyRevisionTable.at, time)))
    .orderBy(desc(policyRevisionTable.at), desc(policyRevisionTable.revision))
    .limit(1);
  if (row === undefined) throw new SluiceError("NOT_FOUND", `there was no policy ${policy} at ${time}`);
  const { revision, digest, text, at, actor, reason } = row;
  return { policy, revision, digest, text, revised: { at, actor, reason } };
}

async function listView(
  ctx: Asking,
  time: string,
  { list = "", after, limit = ENTRIES_OF_A_LIST }: Asked,
): Promise<Pick<AuditAtView, "lists" | "next">> {
  const [found] = await listsAt(ctx, time, [list]);
  if (found === undefined) throw new SluiceError("NOT_FOUND", `list ${list} had no content at ${time}`);
  const entries = await contentAt(ctx, found, { after, limit: limit + 1 });
  const content = entries.slice(0, limit);
  const last = entries.length > limit ? content.at(-1)?.entry : undefined;
  return { lists: [{ ...found, content }], ...(last !== undefined && { next: last }) };
}

/** All; of a server and of a policy those that are named in what was held. */
async function listsOf(
  ctx: Asking,
  time: string,
  { server, policy }: Asked,
  servers: readonly ServerAt[],
): Promise<ListAt[]> {
  if (server === undefined && policy === undefined) return await listsAt(ctx, time);
  const held = servers
    .flatMap(({ confirmed, decided }) => [...(confirmed?.assigned ?? []), ...(decided?.assigned ?? [])])
    .filter((one) => policy === undefined || one.policy === policy);
  const names = new Set<string>();
  for (const key of new Set(held.map((one) => `${one.policy}@${one.revision}`))) {
    const [name = "", revision] = key.split("@");
    for (const list of listsNamedIn(await ctx.documents.of(ctx, name, Number(revision)))) names.add(list);
  }
  const lists = await listsAt(ctx, time, [...names]);
  if (server === undefined) return lists;
  return await Promise.all(
    lists.map(async (list) => ({
      ...list,
      content: await contentAt(ctx, list, { limit: ENTRIES_OF_A_SERVER }),
    })),
  );
}
