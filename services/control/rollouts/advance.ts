import { formatProblem, SluiceError } from "@sluice/proto/base/errors";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { type SluiceEvent, streamOf } from "@sluice/proto/events/event";
import { compileFor, listFamilies } from "../assignments/compile-for.ts";
import { decideAssignment, withPolicy } from "../assignments/decide.ts";
import { execute, load } from "../context/execute.ts";
import { asSluice, type Context } from "../context/services.ts";
import { isFrozen } from "../fleet/frozen.ts";
import { serverEntity } from "../servers/state.ts";
import { decideStep, halted, nextStep, type RolloutState, rolloutEntity } from "./decide.ts";
import { progressOf } from "./progress.ts";

const AT_ONCE = 16;

/**
 * Takes a rollout as far as it goes now. It looks at what is stored and makes the next step, until there is nothing to
 * do but wait: after a report, after a deadline, after a restart, it is the same call.
 */
export async function advanceRollout(ctx: Context, rollout: string): Promise<void> {
  await ctx.queue.run(`advance ${rollout}`, async () => {
    while (await stepOn(ctx, rollout)) {
      // until it waits or has ended
    }
  });
}

async function stepOn(asked: Context, rollout: string): Promise<boolean> {
  const { state } = await load(asked, streamOf.rollout(rollout), rolloutEntity);
  const ctx = asSluice(asked, state.correlation || asked.correlation);
  const wave = await progressOf(ctx, rollout, state.waves[state.wave - 1] ?? []);
  const step = nextStep(state, wave, await isFrozen(ctx));
  switch (step.kind) {
    case "none":
    case "wait":
      return false;
    case "end":
      return await store(ctx, state, step.event);
    case "begin":
      return await beginWave(ctx, state, step.wave, step.servers);
    case "tell":
      return await tellAll(ctx, state, step.servers);
  }
}

/** Nothing of a wave is touched unless all of its servers compile. */
async function beginWave(
  ctx: Context,
  state: RolloutState,
  wave: number,
  servers: readonly string[],
): Promise<boolean> {
  const lists = await listFamilies(ctx);
  const problems = await sideBySide(servers, AT_ONCE, async (server) => {
    const { state: now } = await load(ctx, streamOf.server(server), serverEntity);
    if (now.uninstalled) return { server, reason: "it was uninstalled" };
    const assigned = withPolicy(now, state.policy, state.revision);
    const compiled = await compileFor(ctx, { server, labels: now.labels, assigned, lists });
    return compiled.ok ? undefined : { server, reason: compiled.problems.map(formatProblem).join("; ") };
  });
  const refused = problems.find((problem) => problem !== undefined);
  if (refused) return await halt(ctx, state, refused.reason, refused.server);
  const { rollout } = state;
  return await store(ctx, state, { type: "WaveStarted", data: { rollout, wave, servers: [...servers] } });
}

async function tellAll(ctx: Context, state: RolloutState, servers: readonly string[]): Promise<boolean> {
  const told = await sideBySide(servers, AT_ONCE, async (server) => {
    try {
      await tell(ctx, state, server);
      return undefined;
    } catch (error) {
      if (error instanceof SluiceError && error.code === "REFUSED") return { server, reason: error.message };
      throw error;
    }
  });
  const refused = told.find((failure) => failure !== undefined);
  return refused ? await halt(ctx, state, refused.reason, refused.server) : true;
}

async function tell(ctx: Context, rollout: RolloutState, server: string): Promise<void> {
  const { policy, revision, kind } = rollout;
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason: `${kind} ${rollout.rollout}`,
    keys: { policy },
    async decide(state) {
      if (state.newest?.rollout === rollout.rollout) return [];
      const assigned = withPolicy(state, policy, revision);
      const compiled = await compileFor(ctx, { server, labels: state.labels, assigned });
      if (!compiled.ok) {
        throw new SluiceError("REFUSED", compiled.problems.map(formatProblem).join("; "));
      }
      const { digest: manifest, factsDigest } = compiled;
      const wanted = { assigned, manifest, factsDigest, epoch: ctx.epoch, cause: kind };
      return decideAssignment(state, { ...wanted, rollout: rollout.rollout });
    },
  });
}

async function halt(ctx: Context, state: RolloutState, reason: string, server: string): Promise<boolean> {
  const step = halted(state, `${server} can't hold it: ${reason}`, server);
  return step.kind === "end" && (await store(ctx, state, step.event));
}

async function store(ctx: Context, seen: RolloutState, event: SluiceEvent): Promise<boolean> {
  await execute(ctx, {
    stream: streamOf.rollout(seen.rollout),
    entity: rolloutEntity,
    reason: event.type === "RolloutHalted" ? event.data.reason : "",
    keys: { policy: seen.policy },
    decide: (now) => decideStep(now, seen, event),
  });
  return event.type !== "RolloutHalted" && event.type !== "RolloutCompleted";
}
