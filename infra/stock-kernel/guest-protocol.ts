import { z } from "zod";

/** What host and guest say to each other over the guest's serial line: a line of JSON each. */
export type Order =
  | { do: "start"; id: number; command: string; args: readonly string[] }
  | { do: "write"; id: number; text: string }
  /** no more input for it */
  | { do: "end"; id: number }
  | { do: "kill"; id: number }
  | { do: "power off" };

const id = z.int();
export const report = z.discriminatedUnion("is", [
  z.strictObject({ is: z.literal("ready") }),
  /** bytes of orders, since it last told (flow.ts) */
  z.strictObject({ is: z.literal("taken"), bytes: z.int() }),
  z.strictObject({ is: z.literal("started"), id, pid: z.int() }),
  z.strictObject({ is: z.literal("unstartable"), id, reason: z.string() }),
  z.strictObject({ is: z.literal("said"), id, stream: z.enum(["stdout", "stderr"]), text: z.string() }),
  z.strictObject({ is: z.literal("ended"), id, code: z.int().nullable() }),
]);
export type Report = z.infer<typeof report>;
export type ProcessReport = Extract<Report, { id: number }>;
