import { append } from "./append.ts";
import { applyRules } from "./apply-rules.ts";
import { applySet } from "./apply-set.ts";
import type { Bench } from "./bench.ts";
import { noChange } from "./no-change.ts";

export const BENCHES: readonly Bench[] = [append, applySet, applyRules, noChange];
