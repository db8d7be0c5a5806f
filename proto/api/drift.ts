import { z } from "zod";
import { difference } from "../manifest/difference.ts";
import { culprit } from "../wire/report.ts";
import { entityName, pageLimit, reason } from "./common.ts";

/** One time that a server's kernel differed. */
export const driftView = z.strictObject({
  server: z.string(),
  at: z.string(),
  generation: z.int(),
  differences: z.array(difference),
  by: culprit.optional(),
  action: z.enum(["repaired", "reported", "failed"]),
  /** why it wasn't repaired */
  reason: z.string().optional(),
  /** from the foreign change to its discovery, and from there to its repair */
  detectedMs: z.number().optional(),
  repairedMs: z.number().optional(),
  /** how often the same was reported within 10 s; 1 for once */
  count: z.int(),
  /** still so now */
  current: z.boolean(),
});
export type DriftView = z.infer<typeof driftView>;

/** `all`: repaired ones as well, newest first; else only what differs now. */
export const listDriftInput = z
  .strictObject({ server: entityName.optional(), all: z.boolean().default(false), limit: pageLimit })
  .prefault({});

export const showDriftInput = z.strictObject({ server: entityName, limit: pageLimit });

/** Asked of the server itself just now; `asked` says why it couldn't be. */
export const showDriftView = z.strictObject({
  server: z.string(),
  asked: z.discriminatedUnion("ok", [
    z.strictObject({ ok: z.literal(true), differences: z.array(difference) }),
    z.strictObject({ ok: z.literal(false), reason: z.string() }),
  ]),
  history: z.array(driftView),
});
export type ShowDriftView = z.infer<typeof showDriftView>;

export const repairDriftInput = z.strictObject({ server: entityName, reason });
export const repairDriftView = z.strictObject({
  server: z.string(),
  repaired: z.boolean(),
  /** what differed before the repair */
  differences: z.array(difference),
});
export type RepairDriftView = z.infer<typeof repairDriftView>;
