import type { ChangeListView } from "@sluice/proto/api/lists";
import { SluiceError } from "@sluice/proto/base/errors";
import { errorViewOf } from "./failure.ts";
import type { GivenAddress } from "./files.ts";

/** The API takes so many addresses in one call; each call is one change of the list, whole or not at all. */
const BATCH = 50_000;

export interface ListChange {
  change(addresses: string[]): Promise<ChangeListView>;
  progress(done: number): void;
}

/** Changes a list by any number of addresses; gives what all the calls did together. */
export async function changeInBatches(
  given: readonly GivenAddress[],
  { change, progress }: ListChange,
): Promise<ChangeListView> {
  if (given.length === 0)
    throw new SluiceError("INVALID", "no address given", { cure: "name some, or give a file with -f" });
  let total: ChangeListView | undefined;
  for (let from = 0; from < given.length; from += BATCH) {
    progress(from);
    const batch = given.slice(from, from + BATCH);
    const view = await change(batch.map(({ text }) => text)).catch((error) => {
      throw explained(error, batch, from);
    });
    total = {
      ...view,
      added: view.added + (total?.added ?? 0),
      renewed: view.renewed + (total?.renewed ?? 0),
      removed: view.removed + (total?.removed ?? 0),
      unchanged: view.unchanged + (total?.unchanged ?? 0),
    };
  }
  if (total === undefined) throw new Error("a change without a call");
  return total;
}

/** Control knows addresses, not lines: says on which line of the file each bad one stands, and what is done already. */
function explained(error: unknown, batch: readonly GivenAddress[], done: number): SluiceError {
  const { code, message, cure, problems } = errorViewOf(error);
  const placed = problems.map((problem) => {
    const place = batch.find(({ text }) => text === problem.found)?.place;
    return place === undefined ? problem : { ...problem, place };
  });
  const before = done === 0 ? "" : ` (the first ${done} addresses are in)`;
  return new SluiceError(code, `${message}${before}`, {
    ...(cure === undefined ? {} : { cure }),
    problems: placed,
    cause: error,
  });
}
