import type { ReportBody } from "@sluice/proto/wire/report";
import { connectOnce } from "./connect.ts";
import { deliverReport, type Reporting, signedReport } from "./report.ts";
import { openSpool } from "./spool.ts";

/**
 * The last report of an agent that runs no more, after those that still wait, over a connection of its own. False where
 * the REPORTS stream doesn't have it in time; nobody tries again then.
 */
export async function sayLast(options: Reporting, body: ReportBody, timeoutMs: number): Promise<boolean> {
  const { identity, spoolFolder } = options;
  const connection = await connectOnce(identity, timeoutMs).catch(() => undefined);
  if (connection === undefined) return false;
  const spool = await openSpool(spoolFolder, (text) => deliverReport(connection, identity.server, text));
  try {
    await spool.add(signedReport(options, body));
    await spool.flush();
    return spool.waiting() === 0;
  } finally {
    spool.close();
    await connection.close();
  }
}
