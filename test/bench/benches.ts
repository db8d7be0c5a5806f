import { append } from "./append.ts";
import { applyRules } from "./apply-rules.ts";
import { applySet } from "./apply-set.ts";
import type { Bench } from "./bench.ts";
import { idle } from "./idle.ts";
import { listAdd } from "./list-add.ts";
import { noChange } from "./no-change.ts";
import { rollout } from "./rollout.ts";

export const BENCHES: readonly Bench[] = [append, applySet, applyRules, noChange, listAdd, rollout, idle];
