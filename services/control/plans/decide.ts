import type { EventData, SluiceEvent } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

type Answer = Omit<EventData<"PlanAnswered">, "plan">;

export interface PlanState {
  plan: string;
  policy: string;
  correlation: string;
  servers: readonly string[];
  /** server → what compiling for it found worth saying */
  warnings: Readonly<Record<string, readonly string[]>>;
  expiresAt: string;
  /** server → whether it could hold it */
  answers: ReadonlyMap<string, boolean>;
  finished: boolean;
}

export const planEntity: Entity<PlanState> = {
  initial: {
    plan: "",
    policy: "",
    correlation: "",
    servers: [],
    warnings: {},
    expiresAt: "",
    answers: new Map(),
    finished: false,
  },
  evolve(state, event) {
    switch (event.type) {
      case "PlanRequested": {
        const { plan, policy, servers, warnings = {}, expiresAt } = event.data;
        return { ...state, plan, policy, servers, warnings, expiresAt, correlation: event.meta.correlation };
      }
      case "PlanAnswered": {
        const { server, result } = event.data;
        return { ...state, answers: new Map([...state.answers, [server, result === "ok"]]) };
      }
      case "PlanFinished":
        return { ...state, finished: true };
      default:
        return state;
    }
  },
};

/** `refused` are the answers of control itself, for servers that it could make no manifest for. */
export function decideRequest(
  requested: EventData<"PlanRequested">,
  refused: readonly Answer[],
): SluiceEvent[] {
  const { plan, servers } = requested;
  const answers = refused.map((answer): SluiceEvent => ({ type: "PlanAnswered", data: { plan, ...answer } }));
  const finished: SluiceEvent[] =
    refused.length === servers.length ? [{ type: "PlanFinished", data: { plan, result: "refused" } }] : [];
  return [{ type: "PlanRequested", data: requested }, ...answers, ...finished];
}

/** A server's answer: the first counts, the last one missing finishes the plan. */
export function decideAnswer(state: PlanState, answer: Answer): SluiceEvent[] {
  const { plan, servers, answers, finished } = state;
  if (finished || !servers.includes(answer.server) || answers.has(answer.server)) return [];
  const warnings = [...(state.warnings[answer.server] ?? []), ...answer.warnings];
  const answered: SluiceEvent = { type: "PlanAnswered", data: { plan, ...answer, warnings } };
  const all = new Map([...answers, [answer.server, answer.result === "ok"]]);
  return all.size < servers.length ? [answered] : [answered, finish(plan, all)];
}

/** Past its time, those that didn't answer are silent. */
export function decideExpire(state: PlanState, now: string): SluiceEvent[] {
  const { plan, servers, answers, finished, expiresAt } = state;
  if (plan === "" || finished || now < expiresAt) return [];
  const silent = servers
    .filter((server) => !answers.has(server))
    .map(
      (server): SluiceEvent => ({
        type: "PlanAnswered",
        data: { plan, server, result: "silent", differences: [], warnings: [] },
      }),
    );
  return [...silent, { type: "PlanFinished", data: { plan, result: "refused" } }];
}

function finish(plan: string, answers: ReadonlyMap<string, boolean>): SluiceEvent {
  const isOk = [...answers.values()].every(Boolean);
  return { type: "PlanFinished", data: { plan, result: isOk ? "ok" : "refused" } };
}
