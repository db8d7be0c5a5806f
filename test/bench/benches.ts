import { append } from "./append.ts";
import type { Bench } from "./bench.ts";

export const BENCHES: readonly Bench[] = [append];
