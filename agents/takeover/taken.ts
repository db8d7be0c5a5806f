import { familyNumber, type ManifestTakeover, tableName, tcTree } from "@sluice/proto/manifest/manifest";
import type { TakenOver } from "@sluice/proto/wire/report";
import { z } from "zod";
import { backText } from "../drivers/iptables/claims.ts";

/**
 * Something foreign that was taken over, as it is kept on the disk until its claim is gone: then it is given back.
 * `claim` is what it was claimed by.
 */
export const taken = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("rules"),
    claim: z.string(),
    backend: z.enum(["nft", "legacy"]),
    family: familyNumber,
    table: tableName,
    policies: z.array(z.strictObject({ hook: z.string(), have: z.string(), want: z.string() })),
    rules: z.array(
      z.strictObject({
        chain: z.string(),
        index: z.int().min(0),
        rule: z.string(),
        isLast: z.boolean().optional(),
      }),
    ),
    chains: z.array(z.strictObject({ name: z.string(), rules: z.array(z.string()) })),
  }),
  z.strictObject({ kind: z.literal("qdisc"), claim: z.string(), device: z.string(), tree: tcTree }),
]);
export type Taken = z.infer<typeof taken>;
export type TakenRules = Extract<Taken, { kind: "rules" }>;
export type TakenQdisc = Extract<Taken, { kind: "qdisc" }>;

/**
 * What a claim is known by, whichever policy says it, and whatever it leaves to others: that may change, and what it took stays
 * taken.
 */
export function claimKey(claim: ManifestTakeover): string {
  const said = Object.entries(claim).filter(([name]) => name !== "origin" && name !== "except");
  return JSON.stringify(said.sort(([a], [b]) => (a < b ? -1 : 1)));
}

export function isClaimed({ claim }: Taken, takeover: readonly ManifestTakeover[] = []): boolean {
  return takeover.some((one) => claimKey(one) === claim);
}

export function isRules(one: Taken): one is TakenRules {
  return one.kind === "rules";
}

export function isQdisc(one: Taken): one is TakenQdisc {
  return one.kind === "qdisc";
}

const TEXT_MAX = 20_000;

/** Its name and its text, for people and for the audit log. */
export function describeTaken(one: Taken): TakenOver {
  if (one.kind === "rules") {
    const whole = backText(one, []);
    const more = whole.length - TEXT_MAX;
    const text = more > 0 ? `${whole.slice(0, TEXT_MAX)}… and ${more} more characters` : whole;
    return { what: `ip${one.family}/${one.table}`, text };
  }
  const { qdiscs, classes, filters } = one.tree;
  const lines = [
    ...qdiscs.map(({ parent, handle, kind, args }) => ["qdisc", parent, handle, kind, ...args].join(" ")),
    ...classes.map(({ parent, classid, kind, args }) => ["class", parent, classid, kind, ...args].join(" ")),
    ...filters.map(({ parent, prio, kind, args }) => ["filter", parent, prio, kind, ...args].join(" ")),
  ];
  return { what: `${one.device}/root`, text: lines.join("\n") };
}
