import { inArray } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import type { RecordedEvent } from "../log/upcast-events.ts";
import { serverTable } from "../schema/servers.ts";
import { type LabelsOf, labelled, serversLabelled } from "./labelled.ts";
import { projectionReading } from "./projection.ts";

export const servers = projectionReading(readLabels, {
  name: "servers",
  tables: [serverTable],
  on: {
    ServerAdded(rows, { data, meta }, labelsOf) {
      const { server, labels, tokenHash } = data;
      labelsOf.set(server, labels);
      // added again: whoever was enrolled before is no longer heard
      const row = { labels, tokenHash, publicKey: null, enrolledAt: null, uninstalledAt: null };
      rows.upsert(serverTable, { server, ...row }, { addedAt: meta.at });
    },
    ServerEnrolled(rows, { data: { server, publicKey }, meta }) {
      rows.update(serverTable, { server }, { publicKey, enrolledAt: meta.at, uninstalledAt: null });
    },
    ServerUninstalled(rows, { data: { server }, meta }) {
      rows.update(serverTable, { server }, { uninstalledAt: meta.at, pausedUntil: null });
    },
    ServerLabelled(rows, { data }, labelsOf) {
      const { server } = data;
      const labels = labelled(labelsOf.get(server), data);
      labelsOf.set(server, labels);
      rows.update(serverTable, { server }, { labels });
    },
    ServerPaused(rows, { data: { server, until } }) {
      rows.update(serverTable, { server }, { pausedUntil: until });
    },
    ServerResumed(rows, { data: { server } }) {
      rows.update(serverTable, { server }, { pausedUntil: null });
    },
  },
});

async function readLabels(tx: Tx, events: readonly RecordedEvent[]): Promise<LabelsOf> {
  const names = serversLabelled(events);
  if (names.length === 0) return new Map();
  const rows = await tx
    .select({ server: serverTable.server, labels: serverTable.labels })
    .from(serverTable)
    .where(inArray(serverTable.server, names));
  return new Map(rows.map(({ server, labels }) => [server, labels]));
}
