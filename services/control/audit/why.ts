import { lastUntil } from "@sluice/db/history/last-until";
import { queryHistory } from "@sluice/db/history/query";
import { assignmentTable } from "@sluice/db/schema/assignments";
import { policyRevisionTable } from "@sluice/db/schema/policies";
import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { AuditWhyView, auditWhyInput } from "@sluice/proto/api/audit";
import { type Problem, SluiceError } from "@sluice/proto/base/errors";
import type { EventType } from "@sluice/proto/events/event";
import { and, asc, eq, gt, lte, sql } from "drizzle-orm";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { revisionsUpTo } from "../policies/blame.ts";
import { type BlamedLine, blameLines, type PolicyLine, policyLines } from "../policies/blame-lines.ts";
import { likest, readFoundRule } from "./rule-likeness.ts";
import { serversAt } from "./servers-at.ts";

type Asking = Pick<Context, "database" | "past">;
type Assigned = { policy: string; revision: number };
type Cause = AuditWhyView["held"]["decided"];

/**
 * Which event put a rule there: by the revision with which its line came into the policy, and the generation since which
 * the server has held revisions with that line.
 */
export async function auditWhy(
  ctx: Asking & Pick<Context, "clock">,
  { server, rule, time: asked }: z.output<typeof auditWhyInput>,
): Promise<AuditWhyView> {
  const time = new Date(asked ?? ctx.clock.now()).toISOString();
  await ctx.past.waitFor(await lastUntil(ctx.database.db, time));
  const [at] = await serversAt(ctx, time, { server });
  if (at === undefined) throw new SluiceError("NOT_FOUND", `there was no server ${server} at ${time}`);
  const held = at.confirmed?.assigned ?? [];
  const { policy, revision, line } = await lineOf(ctx, server, held, rule);
  return {
    ...{ server, policy, revision, line: line.line, text: line.text },
    since: { revision: line.since, revised: await revisedIn(ctx, policy, line.since) },
    held: await heldSince(ctx, { server, policy, revision, line, time }),
  };
}

/** The line that is meant is looked for in what was held; the history of that one policy alone is read. */
async function lineOf(
  ctx: Asking,
  server: string,
  held: readonly Assigned[],
  rule: string,
): Promise<Assigned & { line: BlamedLine }> {
  const found = readFoundRule(rule);
  const texts = await Promise.all(held.map(async (one) => ({ ...one, ...(await revisionOf(ctx, one)) })));
  const all = texts.flatMap(({ policy, revision, text }) => {
    const { over, lines } = likest(found, policy, policyLines(text));
    return lines.map((line) => ({ policy, revision, line, over }));
  });
  const least = Math.min(...all.map(({ over }) => over));
  const [meant, ...others] = all.filter(({ over }) => over === least);
  if (meant === undefined) {
    const what =
      held.length === 0
        ? "held no policy"
        : `held ${held.map((one) => `${one.policy}@${one.revision}`).join(", ")}, of which no line is like it`;
    throw new SluiceError("NOT_FOUND", `no policy put this rule there: ${server} ${what}`, {
      cure: "write it as the policy does, or with its chain as iptables-save prints it; sluice explain says whose rules a packet meets",
    });
  }
  if (others.length > 0) {
    throw new SluiceError("REFUSED", `several lines are equally like this rule`, {
      cure: "write it with its chain, as iptables-save prints it: -A SL-POLICY-CHAIN …",
      problems: [meant, ...others].map(problemOf),
    });
  }
  const { policy, revision } = meant;
  const blamed = blameLines(await revisionsUpTo(ctx, policy, revision));
  const line = blamed.find((one) => one.line === meant.line.line);
  if (line === undefined) throw new SluiceError("INTERNAL", `${policy}@${revision} has lost a line`);
  return { policy, revision, line };
}

async function revisionOf({ database }: Asking, { policy, revision }: Assigned) {
  const [row] = await database.db
    .select()
    .from(policyRevisionTable)
    .where(and(eq(policyRevisionTable.policy, policy), eq(policyRevisionTable.revision, revision)));
  if (row === undefined) throw new SluiceError("NOT_FOUND", `there is no revision ${revision} of ${policy}`);
  return row;
}

function problemOf({ policy, revision, line }: Assigned & { line: PolicyLine }): Problem {
  const place = { file: `${policy}@${revision}`, line: line.line, column: 1 };
  return { message: line.text.trim(), place };
}

async function revisedIn(ctx: Asking, policy: string, revision: number): Promise<Cause> {
  const { at, actor, reason } = await revisionOf(ctx, { policy, revision });
  const seq = await seqOf(ctx, { policy }, "PolicyRevised", at, (data) => data.revision === revision);
  return { seq, at, actor, reason };
}

interface Holding extends Assigned {
  server: string;
  line: BlamedLine;
  time: string;
}

/** The first generation of those without a break in which the server held the line, and what brought it. */
async function heldSince(ctx: Asking, holding: Holding): Promise<AuditWhyView["held"]> {
  const { server, policy, time } = holding;
  const revisionThen = sql<number | null>`(
    select (a->>'revision')::integer from jsonb_array_elements(${assignmentTable.assigned}) as a
     where a->>'policy' = ${policy})`;
  const confirmed = and(
    eq(assignmentTable.server, server),
    eq(assignmentTable.outcome, "confirmed"),
    lte(assignmentTable.outcomeAt, time),
  );
  const { db } = ctx.database;
  const everHeld = await db
    .select({ generation: assignmentTable.generation, revision: revisionThen })
    .from(assignmentTable)
    .where(confirmed);
  const revisions = new Set(everHeld.flatMap(({ revision }) => revision ?? []));
  const withLine = new Set(await revisionsWith(ctx, holding, [...revisions]));
  const without = everHeld.filter(({ revision }) => revision === null || !withLine.has(revision));
  const breach = without.reduce((last, { generation }) => Math.max(last, generation), 0);
  const [row] = await db
    .select()
    .from(assignmentTable)
    .where(and(confirmed, gt(assignmentTable.generation, breach)))
    .orderBy(asc(assignmentTable.generation))
    .limit(1);
  if (row === undefined) throw new SluiceError("INTERNAL", `${server} holds what it never confirmed`);
  const { generation, at, actor, reason, outcomeAt, rollout } = row;
  const seq = await seqOf(ctx, { server }, "AssignmentDecided", at, (data) => data.generation === generation);
  const started = rollout === null ? undefined : await starterOf(ctx, rollout);
  return {
    generation,
    revision: row.assigned.find((one) => one.policy === policy)?.revision ?? 0,
    decided: { seq, at, actor, reason },
    confirmedAt: outcomeAt ?? at,
    ...(rollout !== null && started && { rollout: { rollout, started } }),
  };
}

/** Of these revisions: those since which the line stands there without a break, and later ones that say the same there. */
async function revisionsWith(
  ctx: Asking,
  { policy, revision, line }: Holding,
  of: readonly number[],
): Promise<number[]> {
  const place = line.path.join("\n");
  const later = of.some((one) => one > revision) ? await revisionsUpTo(ctx, policy, Math.max(...of)) : [];
  const same = later.filter((one) =>
    policyLines(one.text).some(({ says, path }) => says === line.says && path.join("\n") === place),
  );
  const saying = new Set(same.map((one) => one.revision));
  return of.filter((one) => (one >= line.since && one <= revision) || (one > revision && saying.has(one)));
}

async function starterOf({ database }: Asking, rollout: string) {
  const [row] = await database.db
    .select({ at: rolloutTable.at, actor: rolloutTable.actor, reason: rolloutTable.reason })
    .from(rolloutTable)
    .where(eq(rolloutTable.rollout, rollout));
  return row;
}

/** The event of that type and time, of those at that time the one that is meant; 0 where it can't be told. */
async function seqOf(
  { database }: Asking,
  keys: { policy?: string; server?: string },
  type: EventType,
  at: string,
  isMeant: (data: Record<string, unknown>) => boolean,
): Promise<number> {
  const { rows } = await queryHistory(database, { ...keys, types: [type], from: at, to: at });
  return rows.find(({ data }) => typeof data === "object" && data !== null && isMeant({ ...data }))?.seq ?? 0;
}
