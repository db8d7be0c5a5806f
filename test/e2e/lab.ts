import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildAgent } from "@sluice/infra/build/build-agent";
import { buildControl } from "@sluice/infra/build/build-control";
import { type Lab, type LabOptions, startLab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { PlanView } from "@sluice/proto/api/plans";
import type { RolloutView } from "@sluice/proto/api/rollouts";

const PATIENCE_MS = 90_000;

/** The agent is the bundle, unless another is given. */
export type TestLabOptions = Partial<Pick<LabOptions, "backends" | "agentFlags" | "agentProgram">>;

/** A lab of this test file's own: unique namespaces, its own folder, all of it gone with `stop`. */
export async function startTestLab(servers: number, more: TestLabOptions = {}): Promise<Lab> {
  const folder = join(tmpdir(), `sluice-e2e-${randomUUID()}`);
  const programs = { agentProgram: await buildAgent(), controlProgram: await buildControl() };
  return await startLab({ folder, servers, ...programs, ...more });
}

export async function applyPolicy(lab: Lab, text: string, reason = ""): Promise<number> {
  const view = await lab.client.policies.revise.mutate({ files: [{ name: "policy.yaml", text }], reason });
  return view.policies[0]?.revision ?? 0;
}

/** Starts a rollout and waits for its end. */
export async function rollOut(
  lab: Lab,
  policy: string,
  more: {
    waves?: string[][];
    reason?: string;
    revision?: number;
    servers?: string[];
    remove?: boolean;
  } = {},
): Promise<RolloutView> {
  const { rollout } = await lab.client.rollouts.start.mutate({ policy, reason: "", ...more });
  return await endOf(lab, rollout);
}

export async function rollBack(lab: Lab, policy: string, to: number | "previous"): Promise<RolloutView> {
  const { rollout } = await lab.client.rollouts.rollback.mutate({ policy, to, reason: "back" });
  return await endOf(lab, rollout);
}

export async function endOf(lab: Lab, rollout: string): Promise<RolloutView> {
  let view: RolloutView | undefined;
  await waitUntil(`the end of rollout ${rollout}`, PATIENCE_MS, async () => {
    view = await lab.client.rollouts.show.query({ rollout });
    return view.state !== "running";
  });
  if (view === undefined) throw new Error("no rollout was seen");
  return view;
}

export async function planOf(
  lab: Lab,
  of: { policy: string } | { file: { name: string; text: string } },
): Promise<PlanView> {
  const { plan } = await lab.client.plans.request.mutate({ of, reason: "" });
  let view: PlanView | undefined;
  await waitUntil(`the answers to plan ${plan}`, PATIENCE_MS, async () => {
    view = await lab.client.plans.show.query({ plan });
    return view.state !== "running";
  });
  if (view === undefined) throw new Error("no plan was seen");
  return view;
}
