import type { PlanView, requestPlanInput } from "@sluice/proto/api/plans";
import { formatProblem, messageOf, type Problem, SluiceError } from "@sluice/proto/base/errors";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { type EventData, streamOf } from "@sluice/proto/events/event";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import type { Refusal } from "@sluice/proto/wire/report";
import type { z } from "zod";
import { compileFor, listFamilies } from "../assignments/compile-for.ts";
import { withPolicy } from "../assignments/decide.ts";
import { manifestText } from "../assignments/manifests.ts";
import { execute, load } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { textOf } from "../policies/documents.ts";
import { findPolicy } from "../policies/find.ts";
import { mustRead } from "../policies/read-files.ts";
import { assignedTo, serverEntity } from "../servers/state.ts";
import { targetedServers } from "../servers/targeted.ts";
import { decideRequest, planEntity } from "./decide.ts";
import { showPlan } from "./show.ts";
import { warnSinceImport } from "./since-import.ts";

type RequestInput = z.output<typeof requestPlanInput>;

interface Subject {
  document: PolicyDocument;
  text: string;
  /** 0: not stored */
  revision: number;
}

/**
 * Asks every targeted server to rehearse a policy on its own kernel, beside what it is assigned already. Nothing
 * changes anywhere. A server for which there is no manifest is answered for at once; the others answer by themselves.
 */
export async function requestPlan(
  ctx: Context,
  { of, servers: only, deadlineMs, reason }: RequestInput,
): Promise<PlanView> {
  const subject = await subjectOf(ctx, of);
  const { policy } = subject.document;
  const targets = await targetedServers(ctx, subject.document, only);
  const lists = await listFamilies(ctx);
  const prepared = await sideBySide(targets, 16, async ({ server, labels, enrolled, uninstalledAt }) => {
    if (!enrolled) return { server, problems: [{ message: `${server} isn't enrolled` }] };
    if (uninstalledAt !== undefined)
      return { server, problems: [{ message: `${server} was uninstalled at ${uninstalledAt}` }] };
    const { state } = await load(ctx, streamOf.server(server), serverEntity);
    const assigned = withPolicy(state, policy, subject.revision || 1);
    const unstored = subject.revision === 0 ? subject.document : undefined;
    const compiled = await compileFor(ctx, { server, labels, assigned, unstored, lists });
    if (!compiled.ok) return { server, problems: compiled.problems };
    const otherwise = await warnSinceImport(ctx, subject.document, { server, assigned: assignedTo(state) });
    return { server, digest: compiled.digest, warnings: [...compiled.warnings, ...otherwise] };
  });
  const plan = ctx.ids.short("p");
  const requested: EventData<"PlanRequested"> = {
    ...{ plan, policy },
    ...(subject.revision > 0 && { revision: subject.revision }),
    text: subject.text,
    servers: prepared.map(({ server }) => server),
    warnings: Object.fromEntries(
      prepared.flatMap(({ server, warnings = [] }) => (warnings.length > 0 ? [[server, warnings]] : [])),
    ),
    expiresAt: new Date(ctx.clock.now().getTime() + deadlineMs).toISOString(),
  };
  const refused = prepared.flatMap(({ server, problems }) =>
    problems === undefined ? [] : [answerOfControl(server, policy, problems)],
  );
  await execute(ctx, {
    stream: streamOf.plan(plan),
    entity: planEntity,
    reason,
    decide: () => decideRequest(requested, refused),
  });
  const asked = prepared.flatMap(({ server, digest }) => (digest === undefined ? [] : [{ server, digest }]));
  askAll(ctx, requested, asked).catch((error) =>
    ctx.log.warn({ plan, error: messageOf(error) }, "a plan didn't reach its servers"),
  );
  return await showPlan(ctx, { plan });
}

async function subjectOf(ctx: Context, of: RequestInput["of"]): Promise<Subject> {
  if ("file" in of) {
    const [read] = await mustRead(ctx, [of.file]);
    if (!read) throw new SluiceError("INVALID", "the file holds no policy");
    return { document: read.document, text: read.text, revision: 0 };
  }
  const { revision: newest } = await findPolicy(ctx, of.policy);
  const revision = of.revision ?? newest;
  const text = await textOf(ctx, of.policy, revision);
  return { document: await ctx.documents.of(ctx, of.policy, revision), text, revision };
}

function answerOfControl(server: string, policy: string, problems: readonly Problem[]) {
  const [first] = problems;
  const { place, path } = first ?? {};
  const refusal: Refusal = {
    step: "compile",
    reason: problems.map(formatProblem).join("\n"),
    ...(place && {
      origin: { policy: place.file ?? policy, revision: 0, line: place.line, ...(path && { path }) },
    }),
  };
  return { server, result: "refused" as const, refusal, differences: [], warnings: [] };
}

/** Waits while NATS is away; the plan's own deadline ends what can't be told in time. */
async function askAll(
  ctx: Context,
  { plan, expiresAt }: EventData<"PlanRequested">,
  asked: readonly { server: string; digest: string }[],
): Promise<void> {
  await sideBySide(asked, 16, async ({ server, digest }) => {
    const manifest = await ctx.link.putBlob(Buffer.from(await manifestText(ctx, digest)));
    await ctx.link.putPlan({ v: 1, server, plan, manifest, expiresAt });
  });
}
