import { ruleHitTable } from "@sluice/db/schema/hits";
import type { FoundView, PolicyHitsView, policyHitsInput, RuleHitsView } from "@sluice/proto/api/hits";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { and, count, eq, min, sql } from "drizzle-orm";
import type { z } from "zod";
import { holdersOf } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { findPolicy } from "../policies/find.ts";
import { findServer } from "../servers/find.ts";
import { rulesOf } from "./rules.ts";

const ASK_TIMEOUT_MS = 15_000;
const ASKED_AT_ONCE = 16;

/** What each rule of a revision matched, on all servers or on one. */
export async function policyHits(
  ctx: Context,
  { policy, revision: asked, server, now }: z.output<typeof policyHitsInput>,
): Promise<PolicyHitsView> {
  const { revision: newest } = await findPolicy(ctx, policy);
  if (server !== undefined) await findServer(ctx, server);
  const holders = (await holdersOf(ctx, policy)).filter(
    (one) => server === undefined || one.server === server,
  );
  const silent = now ? await haveCounted(ctx, holders) : [];
  const held = Math.max(0, ...holders.map((one) => one.revision));
  const revision = asked ?? (held || newest);
  return { policy, revision, rules: await rulesWithHits(ctx, policy, revision, server), silent };
}

/** What the rules that servers observe now would have dropped; undefined where none is observed. */
export async function observedFound(ctx: Context, policy: string): Promise<FoundView | undefined> {
  const revision = Math.max(0, ...(await holdersOf(ctx, policy)).map((one) => one.revision));
  if (revision === 0) return undefined;
  const isObserved = rulesOf(await ctx.documents.of(ctx, policy, revision)).some(
    ({ mode }) => mode === "observe",
  );
  if (!isObserved) return undefined;
  const rules = await rulesWithHits(ctx, policy, revision, undefined);
  return { revision, rules: rules.filter(({ mode, does }) => mode === "observe" && does === "drop") };
}

/** Those that didn't answer. */
async function haveCounted(ctx: Context, holders: readonly { server: string }[]): Promise<string[]> {
  const asked = await sideBySide(holders, ASKED_AT_ONCE, async ({ server }) => ({
    server,
    reply: await ctx.link.ask(server, { what: "hits" }, ASK_TIMEOUT_MS),
  }));
  return asked.flatMap(({ server, reply }) => (reply.ok ? [] : [server]));
}

async function rulesWithHits(
  ctx: Context,
  policy: string,
  revision: number,
  server: string | undefined,
): Promise<RuleHitsView[]> {
  const document = await ctx.documents.of(ctx, policy, revision);
  const table = ruleHitTable;
  const rows = await ctx.database.db
    .select({
      path: table.path,
      observed: table.observed,
      packets: sql`sum(${table.packets})`.mapWith(Number),
      bytes: sql`sum(${table.bytes})`.mapWith(Number),
      since: min(table.since),
      servers: count(),
      hitOn: sql`count(*) filter (where ${table.packets} > 0)`.mapWith(Number),
    })
    .from(table)
    .where(
      and(
        eq(table.policy, policy),
        eq(table.revision, revision),
        server === undefined ? undefined : eq(table.server, server),
      ),
    )
    .groupBy(table.path, table.observed);
  const counted = new Map(rows.map((row) => [`${row.observed} ${row.path}`, row]));
  return rulesOf(document).map((rule) => {
    const row = counted.get(`${rule.mode === "observe"} ${rule.path}`);
    const { packets = 0, bytes = 0, servers = 0, hitOn = 0, since } = row ?? {};
    return {
      ...rule,
      ...{ packets, bytes, servers, hitOn },
      ...(since && { since }),
      unused: servers > 0 && packets === 0,
    };
  });
}
