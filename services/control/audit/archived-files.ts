import { readStream } from "@sluice/db/log/read";
import { upcastEvents } from "@sluice/db/log/upcast-events";
import type { Finding } from "@sluice/proto/api/proof";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { openMessage } from "@sluice/proto/base/sign";
import { type EventData, streamOf } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { type Archive, archive } from "@sluice/proto/wire/archive";
import type { Services } from "../context/services.ts";

/** Archives as the log tells of them, oldest first, each signed by control; and those it tells of that aren't. */
export interface Told {
  archives: (Archive & { seq: number })[];
  findings: Finding[];
}

export async function archivesTold({
  database,
  enrolment,
}: Pick<Services, "database" | "enrolment">): Promise<Told> {
  const told: Told = { archives: [], findings: [] };
  for await (const { seq, type, data } of upcastEvents(readStream(database.db, streamOf.log()), upcast)) {
    if (type !== "LogArchived") continue;
    const { kid, sig, ...said } = data;
    const message = JSON.stringify({ kid, body: canonicalJson(said), sig });
    const opened = openMessage(enrolment.keys, "archive", archive, message);
    if (opened.ok) told.archives.push({ ...opened.value, seq });
    else told.findings.push(forged(seq, data, opened.reason));
  }
  return told;
}

function forged(seq: number, { to }: EventData<"LogArchived">, reason: string): Finding {
  const message = `event ${seq} says that events up to ${to} are archived, which control didn't sign: ${reason}`;
  return { tampering: "forged", seq, type: "LogArchived", stream: streamOf.log(), message };
}
