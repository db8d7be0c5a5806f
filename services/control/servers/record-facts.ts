import { factsTable, serverFactsTable } from "@sluice/db/schema/servers";
import { digestOf } from "@sluice/proto/base/digest";
import type { Facts } from "@sluice/proto/manifest/facts";
import { reconsider } from "../assignments/reconsider.ts";
import type { Context } from "../context/services.ts";
import { factsOf } from "./facts.ts";

/**
 * A server says what it is. Facts are no events; where they change what the server must hold, that is one.
 * They are stored last: what was cut short before is done again when the report comes again.
 */
export async function recordFacts(ctx: Context, server: string, facts: Facts): Promise<void> {
  const digest = digestOf(facts);
  const at = ctx.clock.now().toISOString();
  const stored = await factsOf(ctx, server);
  ctx.protected.learn(server, facts);
  const occasion = { after: "facts", reason: "its facts changed" } as const;
  const isNew = stored?.digest !== digest;
  const result = isNew ? await reconsider(ctx, server, { ...occasion, facts }) : undefined;
  if (result?.kind === "refused") {
    ctx.log.warn(
      { server, problems: result.problems },
      "what it holds can't be made anew with its new facts",
    );
  }
  await ctx.database.db.insert(factsTable).values({ digest, facts }).onConflictDoNothing();
  const row = { digest, at };
  await ctx.database.db
    .insert(serverFactsTable)
    .values({ server, ...row })
    .onConflictDoUpdate({ target: serverFactsTable.server, set: row });
  // the outcome it waits for may have come before the facts could be found
  if (result?.kind === "waits") await reconsider(ctx, server, occasion);
}
