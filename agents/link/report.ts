import { headers, type NatsConnection } from "@nats-io/transport-node";
import { signMessage } from "@sluice/proto/base/sign";
import type { Report, ReportBody } from "@sluice/proto/wire/report";
import { subjects } from "@sluice/proto/wire/subjects";
import type { Identity } from "./identity.ts";

/** What reports are made of. */
export interface Reporting {
  identity: Identity;
  /** where undelivered reports wait */
  spoolFolder: string;
  newId(): string;
  now(): Date;
}

const REPORT_TIMEOUT_MS = 5_000;

/** As it waits in the spool: with its id beside it. */
export function signedReport({ identity, newId, now }: Reporting, body: ReportBody): string {
  const value: Report = { v: 1, server: identity.server, id: newId(), at: now().toISOString(), body };
  return JSON.stringify({ id: value.id, message: signMessage(identity.reportKey, "report", value) });
}

/** Delivered means: the stream has it. The message id makes a second try harmless. */
export async function deliverReport(connection: NatsConnection, server: string, text: string): Promise<void> {
  const { id, message } = JSON.parse(text);
  const head = headers();
  head.set("Nats-Msg-Id", String(id));
  const reply = await connection.request(subjects.report(server), JSON.stringify(message), {
    headers: head,
    timeout: REPORT_TIMEOUT_MS,
  });
  const acknowledged: unknown = reply.json();
  if (typeof acknowledged !== "object" || acknowledged === null || !("seq" in acknowledged)) {
    throw new Error(`the report was not stored: ${reply.string()}`);
  }
}
