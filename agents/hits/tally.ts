import type { Manifest, ManifestChain, ManifestRule } from "@sluice/proto/manifest/manifest";
import { optionsOf } from "@sluice/proto/policy/rule-options";
import { splitWords } from "@sluice/proto/policy/rule-words";
import type { HitCount } from "@sluice/proto/wire/hits";
import { z } from "zod";
import type { Counters, RuleCounter } from "../drivers/iptables/counters.ts";
import { type IptablesSnapshot, tableKey } from "../drivers/iptables/snapshot.ts";

/**
 * Sums of what rules matched, made of kernel counters that begin anew whenever a chain is written.
 *
 * 1. Sums never fall. What a counter gained since it was read last is added; one that is lower than it was began anew,
 *    and counts from zero.
 * 2. A chain counts only while it holds exactly what it is to hold: rules are found by their place in it.
 * 3. Rules are summed by their origin: over both families, over the addresses that iptables makes rules of, over the
 *    copies of observed chains.
 *
 * Pure: no clock, no disk, no kernel.
 */
export interface Tally {
  /** What the kernel's counters say now, of a manifest and of how the kernel spells it. */
  read(manifest: Manifest, want: IptablesSnapshot, counters: Counters, at: string): void;
  /**
   * This chain (`ip4/filter/SL-…`) was written: its rules count from zero, or from the packets and bytes that were written with
   * them, one after the other: what others' rules have counted.
   */
  began(chain: string, from?: readonly number[]): void;
  revisions(): readonly Tallied[];
  drop(tallied: Tallied): void;
  saved(): SavedTally;
}

export interface Tallied {
  /** names these sums: a revision that is held again begins others */
  counter: string;
  policy: string;
  revision: number;
  /** when it was first read (ISO) */
  since: string;
  /** by path and whether they are observed */
  counts: Map<string, HitCount>;
}

const counts = z.array(z.tuple([z.string(), z.boolean(), z.int(), z.int()]));
export const savedTally = z.strictObject({
  /** in another one all counters began anew */
  boot: z.string(),
  /** packets and bytes of a chain's rules, one after the other */
  last: z.record(z.string(), z.array(z.number())),
  revisions: z.array(
    z.strictObject({ counter: z.string(), policy: z.string(), revision: z.int(), since: z.string(), counts }),
  ),
});
export type SavedTally = z.infer<typeof savedTally>;

/** Beyond these, the oldest are forgotten: they could be told to nobody for as many changes. */
const REVISIONS_MAX = 50;

export interface TallyStart {
  boot: string;
  saved: SavedTally | undefined;
  /** what stands was counted by somebody whose sums are lost: only what comes on top counts */
  isLost: boolean;
  newCounter(): string;
}

export function createTally({ boot, saved, isLost, newCounter }: TallyStart): Tally {
  let last: Map<string, readonly number[]> = new Map(saved?.boot === boot ? Object.entries(saved.last) : []);
  let skipsFirst = isLost;
  let revisions: Tallied[] = (saved?.revisions ?? []).map(({ counts, ...one }) => ({
    ...one,
    counts: new Map(
      counts.map(([path, observed, packets, bytes]) => [
        keyOf({ path, observed }),
        { path, observed, packets, bytes },
      ]),
    ),
  }));

  function talliedOf(policy: string, revision: number, at: string): Tallied {
    const known = revisions.find((one) => one.policy === policy && one.revision === revision);
    if (known !== undefined) return known;
    const made: Tallied = { counter: newCounter(), policy, revision, since: at, counts: new Map() };
    revisions = [...revisions, made].slice(-REVISIONS_MAX);
    return made;
  }

  function countOf(rule: ManifestRule, at: string): HitCount | undefined {
    const { policy, revision, path } = rule.origin ?? {};
    if (policy === undefined || path === undefined || !revision || rule.counts === "nothing")
      return undefined;
    const observed = rule.counts === "observed";
    const all = talliedOf(policy, revision, at).counts;
    const count = all.get(keyOf({ path, observed })) ?? { path, observed, packets: 0, bytes: 0 };
    all.set(keyOf(count), count);
    return count;
  }

  return {
    read(manifest, want, counters, at) {
      const now = new Map<string, readonly number[]>();
      for (const chain of manifest.chains) {
        const table = tableKey(chain.family, chain.table);
        const key = `${table}/${chain.name}`;
        const rules = rulesOfKernel(chain, want.tables.get(table)?.chains.get(chain.name), counters.get(key));
        const before = last.get(key);
        if (rules === undefined) continue;
        now.set(
          key,
          rules.flatMap(({ packets, bytes }) => [packets, bytes]),
        );
        for (const [index, { packets, bytes, of }] of rules.entries()) {
          const count = countOf(of, at);
          if (count === undefined || skipsFirst) continue;
          const isSame = before?.length === rules.length * 2;
          const [wasPackets, wasBytes] = isSame ? before.slice(index * 2) : [];
          count.packets += gained(packets, wasPackets);
          count.bytes += gained(bytes, wasBytes);
        }
      }
      last = now;
      skipsFirst = false;
    },
    began(chain, from = []) {
      if (from.some((count) => count > 0)) last.set(chain, from);
      else last.delete(chain);
    },
    revisions: () => revisions,
    drop(tallied) {
      revisions = revisions.filter((one) => one !== tallied);
    },
    saved: () => ({
      boot,
      last: Object.fromEntries([...last].map(([key, values]) => [key, [...values]])),
      revisions: revisions.map(({ counts, ...one }) => ({
        ...one,
        counts: [...counts.values()].map(({ path, observed, packets, bytes }) => [
          path,
          observed,
          packets,
          bytes,
        ]),
      })),
    }),
  };
}

function gained(now: number, before = 0): number {
  return now >= before ? now - before : now;
}

function keyOf({ path, observed }: Pick<HitCount, "path" | "observed">): string {
  return `${observed ? "?" : "!"}${path}`;
}

/** The kernel's rules of a chain with the manifest's rule that each came of; undefined where it holds something else. */
function rulesOfKernel(
  chain: ManifestChain,
  want: readonly string[] | undefined,
  have: readonly RuleCounter[] = [],
): (RuleCounter & { of: ManifestRule })[] | undefined {
  if (want?.length !== have.length || want.some((rule, index) => rule !== have[index]?.rule))
    return undefined;
  const origins = chain.rules.flatMap((rule) => Array<ManifestRule>(timesOf(rule.args)).fill(rule));
  if (origins.length !== have.length) return undefined;
  return have.flatMap((counter, index) => {
    const of = origins[index];
    return of === undefined ? [] : [{ ...counter, of }];
  });
}

/** iptables makes a rule of each pair of addresses in `-s a,b -d c,d`. */
function timesOf(args: string): number {
  if (!args.includes(",")) return 1;
  const split = splitWords(args);
  let times = 1;
  for (const { name, value } of optionsOf(split.ok ? split.words : []))
    if (/^(-s|--src|--source|-d|--dst|--destination)$/.test(name))
      times *= value?.text.split(",").length ?? 1;
  return times;
}
