import { dropBatch, readArchived, recordArchived } from "@sluice/db/log/archived";
import type { ArchiveView } from "@sluice/proto/api/archive";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import { keptDigest } from "@sluice/proto/wire/archive";
import { load } from "../context/execute.ts";
import type { Services } from "../context/services.ts";
import { keptUpTo } from "./kept-up-to.ts";
import { type LogState, logEntity } from "./log-state.ts";

type Needs = Pick<Services, "database">;

/** Drops what is archived and needn't stay, batch by batch, `most` of them; says how far it has come. */
export async function dropArchived(
  services: Needs,
  { most = Number.POSITIVE_INFINITY, signal }: { most?: number; signal?: AbortSignal } = {},
): Promise<ArchiveView> {
  const { archived } = (await load(services, streamOf.log(), logEntity)).state;
  if (archived === undefined) throw new SluiceError("NOT_FOUND", "nothing of the log is archived");
  if ((await readArchived(services.database.db)).eventSeq < archived.seq)
    await recordBound(services, archived);
  for (let count = 0; count < most && !signal?.aborted; count += 1)
    if (!(await dropBatch(services.database))) break;
  const { from, to, kept, file } = archived;
  return { from, to, kept, file, droppedTo: (await readArchived(services.database.db)).droppedTo };
}

/** Goes on with what was begun. */
export async function goOnDropping(services: Needs, signal: AbortSignal): Promise<void> {
  const { archived } = (await load(services, streamOf.log(), logEntity)).state;
  if (archived !== undefined) await dropArchived(services, { signal });
}

async function recordBound(
  services: Needs,
  { seq, to, keptDigest: told }: NonNullable<LogState["archived"]>,
): Promise<void> {
  const { kept } = await keptUpTo(services, to);
  if (keptDigest(kept) !== told)
    throw new SluiceError(
      "CONFLICT",
      `event ${seq} says that other events stay than this version would keep`,
      {
        cure: "nothing is dropped; start the version that archived them, or archive more",
      },
    );
  await recordArchived(services.database.db, { eventSeq: seq, upTo: to, kept });
}
