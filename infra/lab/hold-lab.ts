import { join } from "node:path";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { buildAgent } from "../build/build-agent.ts";
import { buildControl } from "../build/build-control.ts";
import { interruption } from "../process/interruption.ts";
import { claimLab, publishLab, RUN_FOLDER, withdrawLab } from "./lab-file.ts";
import { type Lab, startLab } from "./start-lab.ts";

export interface HoldOptions {
  servers?: number | undefined;
  progress(what: string): void;
  /** one line, for what went wrong and for a stop that was asked for */
  say(text: string): void;
}

const INTERRUPTED = 130;

/**
 * The lab of this checkout, with plain names, from the claim on it to its end: `sluice` finds it while `use` runs.
 * The signal is aborted by Ctrl-C (or SIGTERM, SIGHUP), at which `use` comes to an end.
 *
 * @returns the exit code: that of `use`; 130 where Ctrl-C came before it was ready, 2 where this checkout has a lab
 * already, 1 for a fault, whose reason was said.
 */
export async function holdLab(
  options: HoldOptions,
  use: (lab: Lab, signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const { servers, progress, say } = options;
  const signal = interruption(() => say("stopping"));
  try {
    await claimLab();
  } catch (error) {
    return failure(error, say);
  }
  try {
    const programs = { agentProgram: await buildAgent(), controlProgram: await buildControl() };
    const folder = join(RUN_FOLDER, "lab");
    await using lab = await startLab({ folder, prefix: "", servers, ...programs, progress, signal });
    await publishLab(lab.context);
    return await use(lab, signal);
  } catch (error) {
    return signal.aborted ? INTERRUPTED : failure(error, say);
  } finally {
    await withdrawLab();
  }
}

function failure(error: unknown, say: (text: string) => void): number {
  say(messageOf(error));
  if (!(error instanceof SluiceError)) return 1;
  if (error.cure !== undefined) say(error.cure);
  return 2;
}
