import { queryHistory } from "@sluice/db/history/query";
import { assignmentTable } from "@sluice/db/schema/assignments";
import { events } from "@sluice/db/schema/events";
import { listRevisionTable } from "@sluice/db/schema/lists";
import type { AuditAtView, auditAtInput } from "@sluice/proto/api/audit";
import { SluiceError } from "@sluice/proto/base/errors";
import { upcast } from "@sluice/proto/events/upcast";
import { and, desc, eq, lte, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { relabel } from "../servers/state.ts";

type Row = typeof assignmentTable.$inferSelect;
type Held = NonNullable<AuditAtView["servers"][number]["confirmed"]>;

/** What was in force at a time, for one server or all. */
export async function auditAt(
  ctx: Context,
  { time: asked, server }: z.output<typeof auditAtInput>,
): Promise<AuditAtView> {
  const time = new Date(asked).toISOString();
  const [seq, frozen, labels, decided, confirmed, lists] = await Promise.all([
    newestAt(ctx, time),
    frozenAt(ctx, time),
    labelsAt(ctx, time, server),
    assignmentsAt(ctx, server, lte(assignmentTable.at, time)),
    assignmentsAt(
      ctx,
      server,
      and(eq(assignmentTable.outcome, "confirmed"), lte(assignmentTable.outcomeAt, time)),
    ),
    listsAt(ctx, time),
  ]);
  if (server !== undefined && !labels.has(server)) {
    throw new SluiceError("NOT_FOUND", `there was no server ${server} at ${time}`);
  }
  const servers = [...labels].map(([name, its]) => ({
    server: name,
    labels: its,
    ...decidedView(decided.get(name)),
    ...confirmedView(confirmed.get(name)),
  }));
  return { time, seq, frozen, servers, lists };
}

function heldView({ epoch, generation, assigned, manifest }: Row, at: string): Held {
  return { epoch, generation, assigned, manifest, at };
}

function decidedView(row: Row | undefined): Pick<AuditAtView["servers"][number], "decided"> {
  if (row === undefined) return {};
  const { at, actor, reason, cause } = row;
  return { decided: { ...heldView(row, at), cause, by: { at, actor, reason } } };
}

function confirmedView(row: Row | undefined): Pick<AuditAtView["servers"][number], "confirmed"> {
  return row === undefined ? {} : { confirmed: heldView(row, row.outcomeAt ?? row.at) };
}

async function newestAt({ database }: Context, time: string): Promise<number> {
  const [row] = await database.db
    .select({ seq: sql<number>`coalesce(max(${events.seq}), 0)`.mapWith(Number) })
    .from(events)
    .where(lte(events.at, new Date(time)));
  return row?.seq ?? 0;
}

async function frozenAt({ database }: Context, to: string): Promise<boolean> {
  const types = ["FleetFrozen", "FleetThawed"];
  const { rows } = await queryHistory(database, { types, to, limit: 1 });
  return rows[0]?.type === "FleetFrozen";
}

/** The newest generation of each server that fits, by server. */
async function assignmentsAt(
  { database }: Context,
  server: string | undefined,
  fits: ReturnType<typeof and>,
): Promise<Map<string, Row>> {
  const own = server === undefined ? undefined : eq(assignmentTable.server, server);
  const rows = await database.db
    .selectDistinctOn([assignmentTable.server])
    .from(assignmentTable)
    .where(and(own, fits))
    .orderBy(assignmentTable.server, desc(assignmentTable.generation));
  return new Map(rows.map((row) => [row.server, row]));
}

async function listsAt({ database }: Context, time: string): Promise<AuditAtView["lists"]> {
  const rows = await database.db
    .selectDistinctOn([listRevisionTable.list])
    .from(listRevisionTable)
    .where(lte(listRevisionTable.at, time))
    .orderBy(listRevisionTable.list, desc(listRevisionTable.rev));
  return rows.map(({ list, rev, digest, entries }) => ({ list, rev, digest, entries }));
}

/** Every server there was, with its labels then; from the log, where they are few. */
async function labelsAt(
  { database }: Context,
  to: string,
  server: string | undefined,
): Promise<Map<string, Record<string, string>>> {
  const labels = new Map<string, Record<string, string>>();
  const types = ["ServerAdded", "ServerLabelled"];
  const pages = [];
  for (let before: number | undefined; ; ) {
    const { rows, next } = await queryHistory(database, { types, server, to, before, limit: 1_000 });
    pages.push(...rows);
    if (next === undefined) break;
    before = next;
  }
  for (const { type, schemaVersion, data } of pages.reverse()) {
    const event = upcast(type, schemaVersion, data);
    if (event?.type === "ServerAdded") labels.set(event.data.server, event.data.labels);
    if (event?.type === "ServerLabelled") {
      labels.set(event.data.server, relabel(labels.get(event.data.server) ?? {}, event.data));
    }
  }
  return new Map([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}
