import type { Queryable } from "@sluice/db/connect";
import { readStream } from "@sluice/db/log/read";
import { upcastEvents } from "@sluice/db/log/upcast-events";
import type { ArchiveFileView } from "@sluice/proto/api/archive";
import type { Finding } from "@sluice/proto/api/proof";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { openMessage } from "@sluice/proto/base/sign";
import { type EventData, streamOf } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { type Archive, archive } from "@sluice/proto/wire/archive";
import { type Signers, tooLate } from "@sluice/proto/wire/succession";
import type { Services } from "../context/services.ts";

/** Archives as the log tells of them, oldest first, each signed by control; and those it tells of that aren't. */
export interface Told {
  archives: (Archive & { seq: number })[];
  findings: Finding[];
}

export async function archivesTold(db: Queryable, signers: Signers): Promise<Told> {
  const told: Told = { archives: [], findings: [] };
  for (const { seq, kid, sig, ...said } of await archivesSaid(db)) {
    const message = JSON.stringify({ kid, body: canonicalJson(said), sig });
    const opened = openMessage(signers.keys, "archive", archive, message);
    const reason = opened.ok ? tooLate(signers, kid, { seq }) : opened.reason;
    if (opened.ok && reason === undefined) told.archives.push({ ...opened.value, seq });
    else told.findings.push(forged(seq, said.to, reason ?? ""));
  }
  return told;
}

/** The same, whoever signed them: for who tells of them, or holds files against them. */
export async function archivesSaid(db: Queryable): Promise<(EventData<"LogArchived"> & { seq: number })[]> {
  const said = [];
  for await (const { seq, type, data } of upcastEvents(readStream(db, streamOf.log()), upcast))
    if (type === "LogArchived") said.push({ ...data, seq });
  return said;
}

function forged(seq: number, to: number, reason: string): Finding {
  const message = `event ${seq} says that events up to ${to} are archived, which control didn't sign: ${reason}`;
  return { tampering: "forged", seq, type: "LogArchived", stream: streamOf.log(), message };
}

export function fileOf({ from, to, hash, file, bytes, until }: Archive): ArchiveFileView {
  return { from, to, hash, file, bytes, until };
}

/** The archives that have events of that time or later, as a field of an answer; none where there are none. */
export async function archivedSince(
  { database }: Pick<Services, "database">,
  time = "",
): Promise<{ archived?: ArchiveFileView[] }> {
  const said = await archivesSaid(database.db);
  const meant = said.filter(({ until }) => time === "" || Date.parse(until) >= Date.parse(time));
  return meant.length === 0 ? {} : { archived: meant.map(fileOf) };
}
