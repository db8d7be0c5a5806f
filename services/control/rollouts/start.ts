import { rolloutTable } from "@sluice/db/schema/rollouts";
import type { RolloutView, startRolloutInput } from "@sluice/proto/api/rollouts";
import { type Problem, SluiceError } from "@sluice/proto/base/errors";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { type EventData, streamOf } from "@sluice/proto/events/event";
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { compileFor, listFamilies } from "../assignments/compile-for.ts";
import { revisionOf, withPolicy } from "../assignments/decide.ts";
import { holdersOf } from "../assignments/ls.ts";
import { exclusively } from "../context/exclusively.ts";
import { execute, load } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { fleetRow } from "../fleet/frozen.ts";
import { mustMatchPlan } from "../plans/must-match.ts";
import { findPolicy } from "../policies/find.ts";
import { mustSayWhyOf } from "../policies/must-say-why.ts";
import { isConnected } from "../servers/ls.ts";
import { serverEntity } from "../servers/state.ts";
import { allServers, type Target, targetedServers } from "../servers/targeted.ts";
import { advanceRollout } from "./advance.ts";
import { decideStart, rolloutEntity } from "./decide.ts";
import { showRollout } from "./show.ts";
import { namedIn, planWaves } from "./waves.ts";

type StartInput = z.output<typeof startRolloutInput>;

/** Moves servers to a policy's revision, or takes the policy off them, wave by wave. */
export async function startRollout(ctx: Context, input: StartInput): Promise<RolloutView> {
  const rollout = ctx.ids.short("r");
  await exclusively(ctx, "rollouts", async () => {
    await mustNotBeFrozen(ctx);
    const { revision: newest, retired } = await findPolicy(ctx, input.policy);
    if (retired) throw new SluiceError("REFUSED", `${input.policy} is retired`, { cure: "apply it again" });
    const revision = input.remove ? 0 : (input.revision ?? newest);
    const named = input.servers ?? namedIn(input.waves);
    const targets = input.remove
      ? await holdersAsTargets(ctx, input.policy, named)
      : await targetedServers(ctx, await ctx.documents.of(ctx, input.policy, revision), named);
    mustBeReady(ctx, targets);
    const move = { policy: input.policy, revision, kind: "rollout" as const };
    const { before, compiled } = await prepareMove(ctx, move, targets);
    if (input.plan !== undefined) await mustMatchPlan(ctx, input.plan, { ...move, compiled });
    const waves = planWaves(Object.keys(before), input.waves);
    const { byHandMs } = input;
    const started = { ...move, rollout, waves, before, ...(byHandMs !== undefined && { byHandMs }) };
    await begin(ctx, started, input.reason);
  });
  await advanceRollout(ctx, rollout);
  return await showRollout(ctx, { rollout });
}

/** Throws unless rollouts may start. */
export async function mustNotBeFrozen(ctx: Context): Promise<void> {
  const fleet = await fleetRow(ctx);
  if (!fleet?.frozen) return;
  const why = fleet.reason === "" ? "" : `: ${fleet.reason}`;
  throw new SluiceError("REFUSED", `the fleet is frozen since ${fleet.at} by ${fleet.actor}${why}`, {
    cure: "thaw it first",
  });
}

/** Stores that it starts. Nothing is told to any server yet: `advanceRollout` does that. */
export async function begin(
  ctx: Context,
  started: EventData<"RolloutStarted">,
  reason: string,
): Promise<void> {
  await mustSayWhyOf(ctx, started.policy, reason);
  await mustNotOverlap(ctx, started.policy, started.waves.flat());
  await execute(ctx, {
    stream: streamOf.rollout(started.rollout),
    entity: rolloutEntity,
    reason,
    decide: (state) => decideStart(state, started),
  });
}

export interface Move {
  policy: string;
  revision: number;
  kind: "rollout" | "rollback";
}

/**
 * What the move means for each server that doesn't hold it yet. Refuses where any of them can't be compiled, and where
 * there is nothing to do.
 */
export async function prepareMove(
  ctx: Context,
  { policy, revision, kind }: Move,
  targets: readonly Pick<Target, "server" | "labels">[],
): Promise<{ before: Record<string, number>; compiled: Map<string, string> }> {
  const lists = await listFamilies(ctx);
  const results = await sideBySide(targets, 16, async ({ server, labels }) => {
    const { state } = await load(ctx, streamOf.server(server), serverEntity);
    const held = revisionOf(state.newest?.assigned ?? [], policy);
    const assigned = withPolicy(state, policy, revision);
    const result = await compileFor(ctx, { server, labels, assigned, lists });
    const same = held === revision && state.newest?.outcome === "confirmed";
    return { server, held, result, moves: !same && !(await identical(ctx, policy, held, revision)) };
  });
  const problems = results.flatMap(({ server, result }): Problem[] =>
    result.ok
      ? []
      : result.problems.map((problem) => ({ ...problem, message: `${server}: ${problem.message}` })),
  );
  if (problems.length > 0) {
    throw new SluiceError("REFUSED", `${policy} can't be held by all of these servers; none was touched`, {
      problems,
    });
  }
  const moving = results.filter(({ moves }) => moves);
  if (moving.length === 0) {
    const what = revision === 0 ? "has it" : `already holds revision ${revision}, or the same content`;
    const who = revision === 0 ? "no server" : "every server";
    throw new SluiceError("REFUSED", `nothing to do: ${who} ${what}`, {
      cure: kind === "rollback" ? "name an earlier revision" : "apply a changed policy first",
    });
  }
  return {
    before: Object.fromEntries(moving.map(({ server, held }) => [server, held])),
    compiled: new Map(results.flatMap(({ server, result }) => (result.ok ? [[server, result.digest]] : []))),
  };
}

/** Two revisions with one content (A, B, A again): moving between them would change nothing but a number. */
async function identical(ctx: Context, policy: string, a: number, b: number): Promise<boolean> {
  if (a === 0 || b === 0 || a === b) return false;
  const [first, second] = await Promise.all(
    [a, b].map((revision) => ctx.documents.digestOf(ctx, policy, revision)),
  );
  return first === second;
}

async function holdersAsTargets(ctx: Context, policy: string, only?: readonly string[]): Promise<Target[]> {
  const holders = new Set((await holdersOf(ctx, policy)).map(({ server }) => server));
  const outside = only?.filter((name) => !holders.has(name)) ?? [];
  if (outside.length > 0) throw new SluiceError("REFUSED", `${outside.join(", ")} doesn't have ${policy}`);
  return (await allServers(ctx)).filter(
    ({ server }) => holders.has(server) && (only?.includes(server) ?? true),
  );
}

/** A server that can't answer would halt the rollout: better said before it starts. */
function mustBeReady(ctx: Context, targets: readonly Target[]): void {
  const now = ctx.clock.now().toISOString();
  const reasons = targets.flatMap(({ server, enrolled, uninstalledAt, pausedUntil }) => {
    if (!enrolled) return [`${server} isn't enrolled`];
    if (uninstalledAt !== undefined) return [`${server} was uninstalled at ${uninstalledAt}`];
    if (pausedUntil !== undefined && pausedUntil > now) return [`${server} is paused until ${pausedUntil}`];
    return isConnected(ctx, server) ? [] : [`${server} isn't connected`];
  });
  if (reasons.length === 0) return;
  throw new SluiceError("REFUSED", `not all of these servers can answer: ${reasons.join(", ")}`, {
    cure: "bring them back, or name the others as the rollout's servers",
  });
}

async function mustNotOverlap(ctx: Context, policy: string, servers: readonly string[]): Promise<void> {
  const running = await ctx.database.db.select().from(rolloutTable).where(eq(rolloutTable.state, "running"));
  for (const other of running) {
    if (other.policy === policy) {
      throw new SluiceError("REFUSED", `${other.rollout} of ${policy} is still running`, {
        cure: "wait for its end",
      });
    }
    const shared = other.waves.flat().filter((server) => servers.includes(server));
    if (shared.length > 0) {
      throw new SluiceError(
        "REFUSED",
        `${other.rollout} of ${other.policy} is changing ${shared.join(", ")}`,
        {
          cure: "wait for its end",
        },
      );
    }
  }
}
