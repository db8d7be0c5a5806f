import { queryHistory } from "@sluice/db/log/query";
import { readHead } from "@sluice/db/log/read";
import type { AuditEventView, auditTailInput } from "@sluice/proto/api/audit";
import type { z } from "zod";
import type { Context } from "../context/services.ts";
import { asHistory, viewEvent } from "./log.ts";

/** What is stored from now on (or after `after`), oldest first, until the signal. */
export async function* tailLog(
  ctx: Context,
  { after, ...filter }: z.output<typeof auditTailInput>,
  signal: AbortSignal,
): AsyncGenerator<AuditEventView> {
  const { db } = ctx.database;
  const history = asHistory(filter);
  let last = after ?? (await readHead(db)).seq;
  for await (const _ of ctx.hub.looks(signal)) {
    const fresh = await newerThan(last);
    for (const event of fresh) yield event;
    last = fresh.at(-1)?.seq ?? last;
  }

  /** Pages back from the newest until what is known, so that nothing between is left out. */
  async function newerThan(seq: number): Promise<AuditEventView[]> {
    const found: AuditEventView[] = [];
    for (let before: number | undefined; ; ) {
      const { rows, next } = await queryHistory(db, { ...history, before, limit: 500 });
      const fresh = rows.filter((row) => row.seq > seq);
      found.push(...fresh.map(viewEvent));
      if (fresh.length < rows.length || next === undefined) return found.reverse();
      before = next;
    }
  }
}
