import { z } from "zod";
import { familyNumber, tcTree } from "../manifest/manifest.ts";

/** What stands on a server and isn't ours, as far as its text can be trusted: what an import makes a policy of. */
export const present = z.strictObject({
  /** lines as iptables-save prints them, ours among them */
  rules: z.array(z.strictObject({ family: familyNumber, lines: z.array(z.string()) })),
  sets: z.array(
    z.strictObject({
      name: z.string(),
      type: z.string(),
      family: familyNumber.nullable(),
      /** `create` options beside type and family */
      options: z.array(z.string()),
      /** absent: too many of them */
      entries: z.array(z.string()).optional(),
      /** some of them go by themselves */
      expiring: z.boolean(),
    }),
  ),
  /** roots that somebody configured */
  qdiscs: z.array(
    z.strictObject({
      device: z.string(),
      kind: z.string(),
      handle: z.string(),
      /** what stands, as it would be asked for, where a copy proves that it is so */
      tree: tcTree.optional(),
      /** why there is no tree */
      untold: z.string().optional(),
    }),
  ),
  /** what can't be read, or not be trusted, each as a sentence */
  untold: z.array(z.string()),
});
export type Present = z.infer<typeof present>;
