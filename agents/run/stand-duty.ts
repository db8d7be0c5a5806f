import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "@sluice/proto/base/errors";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import type { ConvergeParts } from "../converge/parts.ts";
import { stand } from "../converge/stand.ts";
import { parseManifest } from "../converge/take.ts";
import { withMembers } from "../converge/target.ts";
import type { ListStore } from "../lists/list-store.ts";
import { bootId } from "../state/process-id.ts";
import { type Applied, issueOf } from "../state/schemas.ts";
import { renderHeld } from "../undo/render-held.ts";
import type { DriftDuty } from "./drift-duty.ts";
import type { Holding } from "./holding.ts";

/** What is held stands again: after a start of the agent, and after a boot, which brings back what was written for it. */
export interface StandDuty {
  /** Rehearses what is held anew, and makes the kernel hold it: after a boot it is simply not there yet. */
  standAgain(): Promise<void>;
  /** what is held was looked at, and where it is to be, mended */
  readonly firstLook: Promise<void>;
  /** After a boot others fill their tables too, and may hold a lock or a name for a while: once isn't enough. */
  fillAgain(): Promise<void>;
  /** since the boot; what is missing before is nobody's drift */
  isFilled(): boolean;
  /** Writes what a boot brings back. */
  keepHeld(): Promise<void>;
  /** Follows the lists of what is held. */
  useLists(): Promise<void>;
  close(): void;
}

interface StandDutyOptions {
  parts: ConvergeParts;
  holding: Holding;
  lists: Pick<ListStore, "use" | "members">;
  drift: Pick<DriftDuty, "lookNow" | "cannotLook">;
  isPaused(): boolean;
  inBackground(work: Promise<unknown>): void;
}

const FILL_FIRST_WAIT_MS = 250;
const FILL_LAST_WAIT_MS = 30_000;

export function createStandDuty(options: StandDutyOptions): StandDuty {
  const { parts, holding, lists, drift, isPaused } = options;
  const firstLook = Promise.withResolvers<void>();
  let isFilled = true;
  let closing = false;

  async function keepHeld(): Promise<void> {
    const standing = holding.standing();
    if (standing === undefined) return;
    const { held, tool, script } = parts.undo;
    const target = withMembers(standing.target, lists.members);
    await held.write(renderHeld(target, { tool, script })).catch((error) => {
      parts.log("what a boot brings back could not be written", { reason: messageOf(error) });
    });
  }

  async function fillAgain(): Promise<void> {
    isFilled = false;
    for (let waitMs = FILL_FIRST_WAIT_MS; !closing && !isPaused(); waitMs *= 2) {
      const checked = await drift.lookNow({ repair: true, tell: false });
      isFilled = true;
      if (checked?.left.length === 0 || waitMs > FILL_LAST_WAIT_MS) return;
      await delay(waitMs, undefined, { ref: false });
    }
  }

  return {
    firstLook: firstLook.promise,
    fillAgain,
    isFilled: () => isFilled,
    keepHeld,
    async standAgain() {
      const applied = holding.applied();
      if (applied === undefined) return firstLook.resolve();
      await lists.use(listsOf(applied));
      const stood = await stand(parts, applied);
      if (!stood.ok) {
        firstLook.resolve();
        await drift.cannotLook(
          applied.generation,
          `what is held can't be rehearsed any more, so it isn't watched: ${stood.refusal.reason}`,
        );
        return;
      }
      holding.setStanding(stood.standing);
      await keepHeld();
      const restarted = applied.boot !== bootId();
      if (restarted) await holding.confirm(issueOf(applied), applied.manifest);
      const looking = restarted ? fillAgain() : drift.lookNow({ repair: "policy", tell: true });
      options.inBackground(looking.finally(firstLook.resolve));
    },
    async useLists() {
      const applied = holding.applied();
      if (applied !== undefined) await lists.use(listsOf(applied));
    },
    close() {
      closing = true;
    },
  };
}

function listsOf({ manifest, digest }: Applied): Manifest["lists"] {
  const parsed = parseManifest(manifest, digest);
  return parsed.ok ? parsed.manifest.lists : [];
}
