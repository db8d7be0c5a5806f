import { z } from "zod";
import { origin } from "./manifest.ts";

/**
 * One difference between what a manifest wants and what the kernel has. A plan's diff and a drift are both lists of
 * these: in a plan the kernel is before the change, in a drift it is after someone else's.
 */
export const difference = z.strictObject({
  driver: z.enum(["ipset", "iptables", "tc"]),
  /** `ip4/filter/SL-INPUT`, `set/sl-web-office-hn4`, `eth0/class/1:10` */
  object: z.string(),
  kind: z.enum(["missing", "changed", "extra"]),
  /** lines the manifest wants and the kernel lacks, and the other way round; long ones are cut, `more` counts the rest */
  want: z.array(z.string()).optional(),
  have: z.array(z.string()).optional(),
  more: z.int().min(0).optional(),
  origin: origin.optional(),
});
export type Difference = z.infer<typeof difference>;
