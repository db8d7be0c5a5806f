import { z } from "zod";
import { TEST_HOOKS, TEST_STATES } from "../manifest/manifest.ts";
import { explanation } from "../manifest/test-result.ts";
import { entityName } from "./common.ts";

const device = z.string().regex(/^[^\s/:"'\\-][^\s/:"'\\]{0,14}$/, "a device's name");

/** `from` and `to` as in a policy's tests: `203.0.113.9:5353`, `192.0.2.5:tcp/22`. */
export const explainInput = z.strictObject({
  server: entityName,
  from: z.string().max(100).optional(),
  to: z.string().max(100),
  via: device.optional(),
  out: device.optional(),
  hook: z.enum(TEST_HOOKS).default("input"),
  state: z.enum(TEST_STATES).default("new"),
});

export const explainView = explanation.extend({ server: z.string() });
export type ExplainView = z.infer<typeof explainView>;
