import { z } from "zod";
import { entityName } from "./common.ts";

/** The revision that is held unless said: of the server, or the newest of any. */
export const policyHitsInput = z.strictObject({
  policy: entityName,
  revision: z.int().min(1).optional(),
  server: entityName.optional(),
  /** have the servers count before answering */
  now: z.boolean().default(false),
});

export const ruleHitsView = z.strictObject({
  line: z.int(),
  /** dotted path in the policy, such as `firewall.filter.INPUT[2]` */
  path: z.string(),
  text: z.string(),
  mode: z.enum(["enforce", "observe"]),
  /** what it does, or where it is observed, would have done, with what it matches */
  does: z.enum(["accept", "drop", "match"]),
  packets: z.int(),
  bytes: z.int(),
  /** the earliest time from which any of the servers counts; absent where none does yet */
  since: z.string().optional(),
  /** how many servers count it */
  servers: z.int(),
  /** on how many of them it matched anything */
  hitOn: z.int(),
  /** it is counted and matched nothing anywhere */
  unused: z.boolean(),
});
export type RuleHitsView = z.infer<typeof ruleHitsView>;

export const policyHitsView = z.strictObject({
  policy: z.string(),
  revision: z.int(),
  rules: z.array(ruleHitsView),
  /** servers that were to count now and didn't answer */
  silent: z.array(z.string()),
});
export type PolicyHitsView = z.infer<typeof policyHitsView>;

/** What observing a policy found, before a plan that may enforce it. */
export const foundView = z.strictObject({
  revision: z.int(),
  rules: z.array(ruleHitsView),
});
export type FoundView = z.infer<typeof foundView>;
