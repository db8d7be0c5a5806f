import { eq } from "drizzle-orm";
import type { Tx } from "../connect.ts";
import { serverTable } from "../schema/servers.ts";
import type { Projection } from "./projection.ts";

export const servers: Projection = {
  name: "servers",
  tables: [serverTable],
  async apply(tx, event) {
    switch (event.type) {
      case "ServerAdded": {
        const { server, labels, tokenHash } = event.data;
        // added again: whoever was enrolled before is no longer heard
        const row = { labels, tokenHash, publicKey: null, enrolledAt: null, uninstalledAt: null };
        await tx
          .insert(serverTable)
          .values({ server, ...row, addedAt: event.meta.at })
          .onConflictDoUpdate({ target: serverTable.server, set: row });
        return;
      }
      case "ServerEnrolled": {
        const { server, publicKey } = event.data;
        await update(tx, server, { publicKey, enrolledAt: event.meta.at, uninstalledAt: null });
        return;
      }
      case "ServerUninstalled":
        await update(tx, event.data.server, { uninstalledAt: event.meta.at, pausedUntil: null });
        return;
      case "ServerLabelled": {
        const { server, set, unset } = event.data;
        const [row] = await tx
          .select({ labels: serverTable.labels })
          .from(serverTable)
          .where(eq(serverTable.server, server));
        const kept = Object.entries({ ...row?.labels, ...set }).filter(([key]) => !unset.includes(key));
        await update(tx, server, { labels: Object.fromEntries(kept) });
        return;
      }
      case "ServerPaused":
        await update(tx, event.data.server, { pausedUntil: event.data.until });
        return;
      case "ServerResumed":
        await update(tx, event.data.server, { pausedUntil: null });
        return;
    }
  },
};

async function update(tx: Tx, server: string, row: Partial<typeof serverTable.$inferInsert>): Promise<void> {
  await tx.update(serverTable).set(row).where(eq(serverTable.server, server));
}
