import { queryHistory } from "@sluice/db/history/query";
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
  const history = asHistory(filter);
  let last = after ?? (await readHead(ctx.database.db)).seq;
  for await (const _ of ctx.hub.looks(signal)) {
    const fresh = await newerThan(last);
    for (const event of fresh) yield event;
    last = fresh.at(-1)?.seq ?? last;
  }

  async function newerThan(seq: number): Promise<AuditEventView[]> {
    const found: AuditEventView[] = [];
    for (let before: number | undefined; ; ) {
      const { rows, next } = await queryHistory(ctx.database, { ...history, after: seq, before, limit: 500 });
      found.push(...rows.map(viewEvent));
      if (next === undefined) return found.reverse();
      before = next;
    }
  }
}
