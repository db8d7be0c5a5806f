import { serverTable } from "@sluice/db/schema/servers";
import { SluiceError } from "@sluice/proto/base/errors";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { asc } from "drizzle-orm";
import type { Context } from "../context/services.ts";

export interface Target {
  server: string;
  labels: Readonly<Record<string, string>>;
  enrolled: boolean;
  uninstalledAt: string | undefined;
  pausedUntil: string | undefined;
}

/** Whether a policy is meant for a server: it is named (`*` names all), or has all of the labels. */
export function isTargeted(
  { servers, labels }: PolicyDocument["targets"],
  { server, labels: has }: Pick<Target, "server" | "labels">,
): boolean {
  if (servers.includes("*") || servers.includes(server)) return true;
  const wanted = Object.entries(labels);
  return wanted.length > 0 && wanted.every(([key, value]) => has[key] === value);
}

export async function allServers(ctx: Context): Promise<Target[]> {
  const rows = await ctx.database.db.select().from(serverTable).orderBy(asc(serverTable.server));
  return rows.map(({ server, labels, enrolledAt, uninstalledAt, pausedUntil }) => ({
    server,
    labels,
    enrolled: enrolledAt !== null,
    uninstalledAt: uninstalledAt ?? undefined,
    pausedUntil: pausedUntil ?? undefined,
  }));
}

/** The servers that a document targets, by name; only these of them where `only` is given, which it must target. */
export async function targetedServers(
  ctx: Context,
  document: PolicyDocument,
  only?: readonly string[],
): Promise<Target[]> {
  const all = await allServers(ctx);
  const targeted = all.filter((server) => isTargeted(document.targets, server));
  if (only === undefined) {
    if (targeted.length > 0) return targeted;
    throw new SluiceError("REFUSED", `${document.policy} targets no server`, {
      cure: "check its targets against the servers' names and labels",
    });
  }
  const names = (of: readonly Target[]) => new Set(of.map(({ server }) => server));
  const unknown = only.filter((name) => !names(all).has(name));
  if (unknown.length > 0) throw new SluiceError("NOT_FOUND", `there is no server ${unknown.join(", ")}`);
  const outside = only.filter((name) => !names(targeted).has(name));
  if (outside.length > 0) {
    throw new SluiceError("REFUSED", `${document.policy} doesn't target ${outside.join(", ")}`, {
      cure: "name them in its targets, or give them the labels it asks for",
    });
  }
  return targeted.filter(({ server }) => only.includes(server));
}
