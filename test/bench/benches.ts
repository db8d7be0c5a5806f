import { append } from "./append.ts";
import { applyRules } from "./apply-rules.ts";
import { applySet } from "./apply-set.ts";
import { auditSize } from "./audit-size.ts";
import type { Bench } from "./bench.ts";
import { changes } from "./changes.ts";
import { drift } from "./drift.ts";
import { idle } from "./idle.ts";
import { listAdd } from "./list-add.ts";
import { listMessage } from "./list-message.ts";
import { listSet } from "./list-set.ts";
import { massBlock } from "./mass-block.ts";
import { noChange } from "./no-change.ts";
import { peers } from "./peers.ts";
import { proof } from "./proof.ts";
import { rebuild } from "./rebuild.ts";
import { rehearse } from "./rehearse.ts";
import { rollout } from "./rollout.ts";

export const BENCHES: readonly Bench[] = [
  append,
  auditSize,
  proof,
  rebuild,
  applySet,
  applyRules,
  changes,
  drift,
  noChange,
  rehearse,
  listSet,
  listMessage,
  listAdd,
  massBlock,
  rollout,
  peers,
  idle,
];
