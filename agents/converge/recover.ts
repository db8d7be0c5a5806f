import type { Refusal } from "@sluice/proto/wire/report";
import { bootId } from "../state/process-id.ts";
import type { Journal } from "../state/schemas.ts";
import { closeJournal, decideRecovery } from "./journal.ts";
import type { ConvergeParts } from "./parts.ts";

/** A change that was under way when the agent ended, as it ended after all. */
export type Recovered = {
  journal: Journal;
  /** to be called once the outcome is kept and told */
  close(): Promise<void>;
} & ({ result: "confirmed" } | { result: "reverted"; refusal: Refusal });

/** The first thing an agent does. When it returns, the kernel holds the old manifest or the new one, whole. */
export async function recover(
  parts: Pick<ConvergeParts, "state" | "undo" | "log">,
): Promise<Recovered | undefined> {
  const { undo, state, log } = parts;
  const stored = await state.journal.read();
  if (stored.kind === "torn") {
    log("the journal of a change is torn: undone to be safe", { reason: stored.reason });
    if (!undo.folder.isConfirmed() && undo.folder.outcome() === "pending") await undo.runner.revert();
    await closeJournal(parts);
    return undefined;
  }
  const journal = stored.kind === "value" ? stored.value : undefined;
  const found = { confirmed: undo.folder.isConfirmed(), outcome: undo.folder.outcome() };
  const recovery = decideRecovery({ journal, boot: bootId(), ...found });
  if (journal === undefined || recovery === "none") {
    await undo.folder.clear();
    return undefined;
  }
  const close = () => closeJournal(parts);
  switch (recovery) {
    case "seal":
      return { journal, result: "confirmed", close };
    case "gone":
      return reverted("the server was restarted before the change was confirmed");
    case "undone":
      return reverted(
        found.outcome === "partial"
          ? "not confirmed by its deadline; not all could be undone at once, drift repair goes on"
          : "not confirmed by its deadline: undone by the server itself",
      );
    case "undo": {
      const outcome = await undo.runner.revert();
      log("a change was under way when the agent ended: undone", { outcome });
      return reverted("the agent ended before the change was confirmed");
    }
  }

  function reverted(reason: string): Recovered | undefined {
    if (journal === undefined) return undefined;
    return { journal, result: "reverted", refusal: journal.refusal ?? { step: "deadline", reason }, close };
  }
}
