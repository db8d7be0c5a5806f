import { readHead } from "@sluice/db/log/read";
import { verify } from "@sluice/db/log/verify";
import type { AuditVerifyView } from "@sluice/proto/api/audit";
import type { Context } from "../context/services.ts";

/** Walks the whole chain. */
export async function verifyLog({ database }: Context): Promise<AuditVerifyView> {
  const head = await readHead(database.db);
  const result = await verify(database.db);
  if (result.ok) return { ok: true, events: result.events, head: result.head };
  const { seq, message } = result;
  return { ok: false, events: seq - 1, head, broken: { seq, message } };
}
