import { dropBatch, readArchived, recordArchived } from "@sluice/db/log/archived";
import type { ArchiveView } from "@sluice/proto/api/archive";
import { SluiceError } from "@sluice/proto/base/errors";
import { keptDigest } from "@sluice/proto/wire/archive";
import type { Services } from "../context/services.ts";
import { archivesTold } from "./archived-files.ts";
import { keptUpTo } from "./kept-up-to.ts";

type Needs = Pick<Services, "database" | "signers">;
type Signed = Awaited<ReturnType<typeof archivesTold>>["archives"][number];

/** Drops what is archived and needn't stay, batch by batch, `most` of them; says how far it has come. */
export async function dropArchived(
  services: Needs,
  options: { most?: number; signal?: AbortSignal } = {},
): Promise<ArchiveView> {
  const view = await goOnDropping(services, options);
  if (view !== undefined) return view;
  throw new SluiceError("NOT_FOUND", "nothing of the log is archived");
}

/** The same; undefined where nothing is archived. */
export async function goOnDropping(
  services: Needs,
  { most = Number.POSITIVE_INFINITY, signal }: { most?: number; signal?: AbortSignal } = {},
): Promise<ArchiveView | undefined> {
  const { db } = services.database;
  const { archives, findings } = await archivesTold(db, services.signers);
  const newest = archives.at(-1);
  if (findings[0] !== undefined)
    throw new SluiceError("CONFLICT", `${findings[0].message}: nothing is dropped`);
  if (newest === undefined) return undefined;
  if ((await readArchived(db)).eventSeq < newest.seq) await recordBound(services, newest);
  for (let count = 0; count < most && !signal?.aborted; count += 1)
    if (!(await dropBatch(services.database))) break;
  const { from, to, kept, file } = newest;
  return { from, to, kept, file, droppedTo: (await readArchived(db)).droppedTo };
}

async function recordBound(services: Needs, { seq, to, keptDigest: told }: Signed): Promise<void> {
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
