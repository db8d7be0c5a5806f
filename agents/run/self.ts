import type { Pulse } from "@sluice/proto/wire/report";
import type { AgentLink } from "../link/link.ts";
import type { ListStore } from "../lists/list-store.ts";
import { issueOf } from "../state/schemas.ts";
import type { ChangeDuty } from "./change-duty.ts";
import type { DriftDuty } from "./drift-duty.ts";
import type { Holding } from "./holding.ts";
import type { ListDuty } from "./list-duty.ts";
import type { Status } from "./local-protocol.ts";
import type { Pause } from "./pause.ts";

export interface SelfOptions {
  server: string;
  holding: Holding;
  lists: Pick<ListStore, "revs">;
  listFill: ListDuty["fill"];
  pause: Pick<Pause, "now">;
  drift: Pick<DriftDuty, "differences" | "isContended">;
  changes: Pick<ChangeDuty, "isChanging">;
  link: Pick<AgentLink, "connected">;
  now(): Date;
}

/** What the agent says of itself: to control as a pulse, on the server as a status. */
export function createSelf(options: SelfOptions): { pulse(): Pulse; status(): Status } {
  const { server, holding, lists, listFill, pause, drift, changes, link, now } = options;

  function state(): Pulse["state"] {
    if (changes.isChanging()) return "applying";
    if (pause.now() !== undefined) return "paused";
    if (drift.isContended()) return "contended";
    return drift.differences().length > 0 ? "drifted" : "idle";
  }

  return {
    pulse() {
      const held = holding.applied();
      return {
        v: 1,
        server,
        at: now().toISOString(),
        state: state(),
        epoch: held?.epoch ?? 0,
        generation: held?.generation ?? 0,
        digest: held?.digest ?? "",
        lists: lists.revs(),
        fill: listFill(),
        differences: drift.differences().length,
      };
    },
    status() {
      const held = holding.applied();
      const paused = pause.now();
      return {
        server,
        running: true,
        connected: link.connected(),
        state: state(),
        ...(held === undefined ? {} : { holds: issueOf(held) }),
        policies: holding.standing()?.manifest.policies ?? [],
        lists: lists.revs(),
        fill: listFill(),
        ...(paused === undefined ? {} : { paused }),
        differences: [...drift.differences()],
      };
    },
  };
}
