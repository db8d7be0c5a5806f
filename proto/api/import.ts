import { z } from "zod";
import { entityName } from "./common.ts";

export const importInput = z.strictObject({
  server: entityName,
  /** the policy's name; the server's unless said */
  policy: entityName.optional(),
});

export const leftView = z.strictObject({ what: z.string(), why: z.string() });

export const importView = z.strictObject({
  server: z.string(),
  policy: z.string(),
  /** the policy, as YAML */
  text: z.string(),
  rules: z.int(),
  sets: z.int(),
  /** what isn't part of it, each with the reason */
  left: z.array(leftView),
});
export type ImportView = z.infer<typeof importView>;
