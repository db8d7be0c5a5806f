import { z } from "zod";
import { origin, TEST_EXPECTATIONS } from "./manifest.ts";

/** A rule that a packet met, as the kernel counted it. */
export const metRule = z.strictObject({
  /** `ip4/filter/SL-INPUT` */
  chain: z.string(),
  /** as the kernel spells it; `policy DROP` where a built-in chain's own policy decided */
  rule: z.string(),
  /** not Sluice's */
  foreign: z.boolean(),
  /** absent for what is foreign, or Sluice's own */
  origin: origin.optional(),
});
export type MetRule = z.infer<typeof metRule>;

export const packetVerdict = z.enum([...TEST_EXPECTATIONS, "unknown"]);
export type PacketVerdict = z.infer<typeof packetVerdict>;

export const testResult = z.strictObject({
  /** `203.0.113.9 to tcp/22 by eth0` */
  packet: z.string(),
  expect: z.enum(TEST_EXPECTATIONS),
  verdict: packetVerdict,
  /** the rule that decided it; absent where none did: it went through */
  decided: metRule.optional(),
  /** why the verdict is unknown */
  reason: z.string().optional(),
  origin,
});
export type TestResult = z.infer<typeof testResult>;

/** Why a packet gets through on a server, or doesn't. */
export const explanation = z.strictObject({
  packet: z.string(),
  verdict: packetVerdict,
  /** absent where no rule ended it */
  decided: metRule.optional(),
  /** why it is unknown */
  reason: z.string().optional(),
  /** every rule that counted it, in order */
  met: z.array(metRule),
  /** what could stop a packet on that server and isn't in the copy */
  notCopied: z.array(z.string()),
});
export type Explanation = z.infer<typeof explanation>;
