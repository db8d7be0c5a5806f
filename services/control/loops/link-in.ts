import { wasArchivedReport } from "@sluice/db/log/archived";
import { serverTable } from "@sluice/db/schema/servers";
import { messageOf } from "@sluice/proto/base/errors";
import type { SignedMessage } from "@sluice/proto/base/sign";
import type { Report } from "@sluice/proto/wire/report";
import { eq } from "drizzle-orm";
import { uuidOf } from "../context/ids.ts";
import { asSluice, type Context, type Services } from "../context/services.ts";
import { recordDrift } from "../drift/record.ts";
import { recordHits } from "../hits/record.ts";
import type { LinkIn } from "../link/link.ts";
import { recordPlanAnswer } from "../plans/record.ts";
import { permitConfirm } from "../rollouts/confirm.ts";
import { recordOutcome } from "../rollouts/record.ts";
import { recordFacts } from "../servers/record-facts.ts";
import { recordPause, recordRejected } from "../servers/record-pause.ts";
import { recordUninstalled } from "../servers/record-uninstalled.ts";

const REMEMBERED = 10_000;

/** What servers say, to the verb that records it. A report that comes again after it was recorded is passed over. */
export function createLinkIn(services: Services, onConnected: () => void): LinkIn {
  const recorded = new Set<string>();

  async function reportKey(server: string): Promise<string | undefined> {
    const [row] = await services.database.db
      .select({ publicKey: serverTable.publicKey })
      .from(serverTable)
      .where(eq(serverTable.server, server));
    return row?.publicKey ?? undefined;
  }

  async function hear(server: string, message: SignedMessage): Promise<void> {
    const { witnesses } = services;
    if (witnesses.of(server)?.message.sig === message.sig) return;
    const key = await reportKey(server);
    if (key !== undefined) await witnesses.hear(services, server, key, message);
  }

  return {
    onConnected,

    reportKey,

    async onReport(report) {
      const id = `${report.server}/${report.id}`;
      if (recorded.has(id) || (await wasArchivedReport(services.database.db, uuidOf(`${id}/0`)))) return;
      await record({ ...asSluice(services, services.ids.uuid()), actor: `agent:${report.server}` }, report);
      recorded.add(id);
      const [oldest] = recorded;
      if (recorded.size > REMEMBERED && oldest !== undefined) recorded.delete(oldest);
    },

    onPulse({ witness, ...pulse }) {
      services.pulses.record(pulse, services.clock.now().toISOString());
      if (witness === undefined) return;
      hear(pulse.server, witness).catch((error) =>
        services.log.warn({ server: pulse.server, error: messageOf(error) }, "a witness' word was missed"),
      );
    },

    onHits: (hits) => recordHits(services, hits),

    onConfirm: (server, request) => permitConfirm(asSluice(services, services.ids.uuid()), server, request),
  };
}

async function record(ctx: Context, report: Report): Promise<void> {
  const { server, body } = report;
  switch (body.kind) {
    case "facts":
      return await recordFacts(ctx, server, body.facts);
    case "outcome":
      return await recordOutcome(ctx, report, body);
    case "plan":
      return await recordPlanAnswer(ctx, report, body);
    case "drift":
      return await recordDrift(ctx, report, body);
    case "paused":
    case "resumed":
      return await recordPause(ctx, report, body);
    case "uninstalled":
      return await recordUninstalled(ctx, report, body);
    case "rejected":
    case "skipped":
      return await recordRejected(ctx, report, body);
  }
}
