import { messageOf } from "@sluice/proto/base/errors";
import type { Refusal } from "@sluice/proto/wire/report";
import { ScriptRefused } from "../drivers/driver.ts";

/** A step's failure, in the words of whoever refused it, with the line at fault and where that line came from. */
export function refusalOf(step: Refusal["step"], thrown: unknown): Refusal {
  if (!(thrown instanceof ScriptRefused)) return { step, reason: messageOf(thrown) };
  return {
    step,
    reason: `${thrown.script.what}: ${thrown.message}`,
    ...(thrown.origin === undefined ? {} : { origin: thrown.origin }),
    ...(thrown.text === undefined ? {} : { script: thrown.text }),
  };
}
