import { auditHistory } from "./chapters/audit-history.ts";
import { bruteForceGuard } from "./chapters/brute-force-guard.ts";
import { drift } from "./chapters/drift.ts";
import { firewall } from "./chapters/firewall.ts";
import { lockOut } from "./chapters/lock-out.ts";
import { massBlock } from "./chapters/mass-block.ts";
import { rollback } from "./chapters/rollback.ts";
import { shaping } from "./chapters/shaping.ts";
import type { Stage } from "./stage.ts";

/** In the order told; each goes on where the one before ended. */
const CHAPTERS = [shaping, firewall, bruteForceGuard, massBlock, drift, lockOut, rollback, auditHistory];

export async function tellStory(stage: Stage): Promise<void> {
  for (const chapter of CHAPTERS) await chapter(stage);
}
