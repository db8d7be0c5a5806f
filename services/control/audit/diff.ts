import type { AuditAtView, AuditDiffView, auditDiffInput } from "@sluice/proto/api/audit";
import { SluiceError } from "@sluice/proto/base/errors";
import { sql } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { diffPolicy } from "../policies/diff.ts";
import { auditAt } from "./at.ts";

type ServerAt = AuditAtView["servers"][number];
type ServerDiff = AuditDiffView["servers"][number];

const ENTRIES = 50;

/** What differs between two times, of one server, of one policy, or of the fleet. */
export async function auditDiff(
  ctx: Pick<Context, "database" | "documents" | "past">,
  { from, to, server, policy }: z.output<typeof auditDiffInput>,
): Promise<AuditDiffView> {
  if (Date.parse(from) > Date.parse(to))
    throw new SluiceError("INVALID", `${from} is after ${to}`, { cure: "the earlier time goes first" });
  const after = await auditAt(ctx, { time: to, server, policy });
  const before = await auditAt(ctx, { time: from, server, policy }).catch((error: unknown) => {
    if (error instanceof SluiceError && error.code === "NOT_FOUND") return undefined;
    throw error;
  });
  const then = new Map(before?.servers.map((one) => [one.server, one]));
  const now = new Map(after.servers.map((one) => [one.server, one]));
  const names = [...new Set([...then.keys(), ...now.keys()])].sort();
  const view: AuditDiffView = {
    from: before?.time ?? new Date(from).toISOString(),
    to: after.time,
    servers: names.flatMap((name) => differing(name, then.get(name), now.get(name), policy)),
    lists: await listDiffs(ctx, before?.lists ?? [], after.lists),
    frozen: { from: before?.frozen ?? false, to: after.frozen },
  };
  if (policy !== undefined && after.policy !== undefined) {
    const [was, is] = [before?.policy?.revision ?? 0, after.policy.revision];
    const diff = was === is ? "" : (await diffPolicy(ctx, { policy, from: was, to: is })).diff;
    view.policy = { policy, from: was, to: is, diff };
  }
  return view;
}

function differing(
  server: string,
  then: ServerAt | undefined,
  now: ServerAt | undefined,
  policy: string | undefined,
): ServerDiff[] {
  const [was, is] = [revisionsOf(then, policy), revisionsOf(now, policy)];
  const policies = [...new Set([...was.keys(), ...is.keys()])].sort().flatMap((name) => {
    const [before, after] = [was.get(name), is.get(name)];
    if (before === after) return [];
    return [
      {
        policy: name,
        ...(before !== undefined && { from: before }),
        ...(after !== undefined && { to: after }),
      },
    ];
  });
  const labels = labelDiff(then?.labels ?? {}, now?.labels ?? {});
  const [old, fresh] = [then?.confirmed?.manifest, now?.confirmed?.manifest];
  const manifest = old === fresh ? undefined : { ...(old && { from: old }), ...(fresh && { to: fresh }) };
  const added = then === undefined && policy === undefined;
  const same = !added && policies.length === 0 && manifest === undefined;
  if (same && Object.keys(labels.set).length === 0 && labels.unset.length === 0) return [];
  return [{ server, added, policies, labels, ...(manifest && { manifest }) }];
}

function revisionsOf(at: ServerAt | undefined, policy: string | undefined): Map<string, number> {
  const held = at?.confirmed?.assigned ?? [];
  return new Map(
    held
      .filter((one) => policy === undefined || one.policy === policy)
      .map(({ policy: name, revision }) => [name, revision]),
  );
}

function labelDiff(then: Record<string, string>, now: Record<string, string>): ServerDiff["labels"] {
  return {
    set: Object.fromEntries(Object.entries(now).filter(([key, value]) => then[key] !== value)),
    unset: Object.keys(then).filter((key) => now[key] === undefined),
  };
}

async function listDiffs(
  { database }: Pick<Context, "database">,
  then: AuditAtView["lists"],
  now: AuditAtView["lists"],
): Promise<AuditDiffView["lists"]> {
  const revs = new Map(then.map(({ list, rev }) => [list, rev]));
  const changed = now
    .map(({ list, rev }) => ({ list, from: revs.get(list) ?? 0, to: rev }))
    .filter(({ from, to }) => from !== to);
  return await Promise.all(
    changed.map(async (one) => {
      const [come, gone] = await Promise.all([
        onlyAt(database, one.list, one.to, one.from),
        onlyAt(database, one.list, one.from, one.to),
      ]);
      return { ...one, added: come.count, removed: gone.count, add: come.first, del: gone.first };
    }),
  );
}

/** What a list held at one rev and not at the other. */
async function onlyAt(
  { db }: Context["database"],
  list: string,
  at: number,
  notAt: number,
): Promise<{ count: number; first: string[] }> {
  const live = (rev: number) => sql`
    select entry from list_spans
     where list = ${list}
       and int8range(list_point(list, since_rev), list_point(list, until_rev)) @> list_point(${list}, ${rev})`;
  const rows = await db.execute<{ entry: string; count: number }>(sql`
    select entry, (count(*) over ())::integer as count
      from (${live(at)} except ${live(notAt)}) as differing
     order by entry limit ${ENTRIES}`);
  return { count: rows[0]?.count ?? 0, first: rows.map(({ entry }) => entry) };
}
