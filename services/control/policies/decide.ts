import { SluiceError } from "@sluice/proto/base/errors";
import type { SluiceEvent } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

export interface PolicyState {
  policy: string;
  /** the newest; 0 before the first */
  revision: number;
  digest: string;
  retired: boolean;
}

export const policyEntity: Entity<PolicyState> = {
  initial: { policy: "", revision: 0, digest: "", retired: false },
  evolve(state, event) {
    switch (event.type) {
      case "PolicyRevised": {
        const { policy, revision, digest } = event.data;
        return { policy, revision, digest, retired: false };
      }
      case "PolicyRetired":
        return { ...state, retired: true };
      default:
        return state;
    }
  },
};

/** Identical content makes no revision; a retired policy comes back with its next one. */
export function decideRevise(
  state: PolicyState,
  { policy, digest, text }: { policy: string; digest: string; text: string },
): SluiceEvent[] {
  if (!state.retired && state.digest === digest) return [];
  return [{ type: "PolicyRevised", data: { policy, revision: state.revision + 1, digest, text } }];
}

/** `holders` are the servers that are still assigned it. */
export function decideRetire(
  state: PolicyState,
  { policy, holders }: { policy: string; holders: readonly string[] },
): SluiceEvent[] {
  if (state.revision === 0) throw new SluiceError("NOT_FOUND", `there is no policy ${policy}`);
  if (state.retired) return [];
  if (holders.length > 0) {
    throw new SluiceError("REFUSED", `${policy} is still assigned to ${holders.join(", ")}`, {
      cure: `take it off them first: sluice rollout start ${policy} --remove`,
    });
  }
  return [{ type: "PolicyRetired", data: { policy } }];
}
