import type { Difference } from "@sluice/proto/manifest/difference";
import type { ManifestTakeover } from "@sluice/proto/manifest/manifest";
import type { Script, Target } from "../drivers/driver.ts";
import { amidExempt, claimsIn, comesFirst, united } from "../drivers/iptables/claims.ts";
import { type Counters, readCounters } from "../drivers/iptables/counters.ts";
import { backScript } from "../drivers/iptables/render.ts";
import type { IptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { RecordFile } from "../state/record-file.ts";
import { type DistrustParts, distrust } from "./distrust.ts";
import { standingQdiscs, standingRules } from "./find.ts";
import { isClaimed, isQdisc, isRules, type Taken } from "./taken.ts";

/**
 * What a change takes over, and what it gives back.
 *
 * 1. The text is on the disk before the thing goes, and stays there until its claim is gone and the change is confirmed.
 * 2. What can't be given back as it was isn't taken: see distrust.ts.
 * 3. Giving back is part of the change: it is verified, confirmed and undone with it.
 */
export interface Takeover {
  /** Looks for what stands of the target's claims, and for what is kept and not claimed any more. Read only. */
  look(target: Target, before: Target | undefined): Promise<Handover>;
  /** What stands of the target's claims on tables. */
  standing(target: Target): Promise<Taken[]>;
  /** Why what is to be taken can't be: its text can't be trusted, or its place can't be kept. */
  distrust(handover: Handover, target: Pick<Target, "takeover">): Promise<string[]>;
  /** What all rules count now: nothing where it can't be read, which is no reason to stop. */
  counters(handover: Handover): Promise<Counters>;
  /** Durable when it returns. */
  keep(handover: Handover): Promise<void>;
  /** Forgets what the held manifest doesn't claim. */
  settle(held: readonly ManifestTakeover[] | undefined): Promise<void>;
}

export interface Handover {
  taking: Taken[];
  givingBack: Taken[];
}

export const NO_HANDOVER: Handover = { taking: [], givingBack: [] };

export function createTakeover(
  parts: DistrustParts & {
    kept: RecordFile<Taken[]>;
    backend: IptablesBackend;
    iptables(target: Target): Promise<IptablesSnapshot>;
  },
): Takeover {
  async function read(): Promise<Taken[]> {
    const stored = await parts.kept.read();
    return stored.kind === "value" ? stored.value : [];
  }

  return {
    async look(target, before) {
      const kept = await read();
      const { takeover = [] } = target;
      // only what was confirmed to be taken: what a change that never came that far kept still stands
      const held = kept.filter((one) => isClaimed(one, before?.takeover));
      const givingBack = held.filter((one) => !isClaimed(one, takeover));
      if (takeover.length === 0) return { taking: [], givingBack };
      const ours = new Set(
        (before?.devices ?? []).filter(({ egress }) => egress).map(({ device }) => device),
      );
      const [iptables, tc] = await Promise.all([parts.iptables(target), parts.tc.read(parts.live, target)]);
      const standing = [
        ...standingRules(takeover, iptables, parts.backend),
        ...standingQdiscs(takeover, tc, ours),
      ];
      return {
        taking: standing.filter(({ claim }) => !held.some((one) => one.claim === claim)),
        givingBack,
      };
    },
    standing: async (target) =>
      standingRules(target.takeover ?? [], await parts.iptables(target), parts.backend),
    distrust: async ({ taking }, { takeover = [] }) => [
      ...misplaced(taking, takeover),
      ...(await distrust(parts, taking)),
    ],
    async counters({ taking, givingBack }) {
      if (![...taking, ...givingBack].some(isRules)) return new Map();
      return await readCounters(parts.live, parts.backend, "all").catch(() => new Map());
    },
    async keep({ taking }) {
      if (taking.length === 0) return;
      const others = (await read()).filter(({ claim }) => !taking.some((one) => one.claim === claim));
      await parts.kept.write([...others, ...taking]);
    },
    async settle(held) {
      const kept = await read();
      const left = kept.filter((one) => isClaimed(one, held));
      if (left.length === kept.length) return;
      if (left.length === 0) await parts.kept.remove();
      else await parts.kept.write(left);
    },
  };
}

/** Rules between those that a claim leaves to others. */
function misplaced(taking: readonly Taken[], takeover: readonly ManifestTakeover[]): string[] {
  return united(taking.filter(isRules)).flatMap((one) =>
    amidExempt(one, claimsIn(takeover, one.family, one.table)).map(
      ({ chain, rule }) =>
        `ip${one.family}/${one.table} ${chain}: this rule stands between rules that stay with others, and ours can only stand before and behind these: ${rule}`,
    ),
  );
}

/**
 * The rules that are given back: before ours go, wherever their places can be told by then, and the rest after. A qdisc comes
 * back as a device's tree.
 */
export function givingBackScripts(
  { givingBack }: Handover,
  { hooks }: Pick<Target, "hooks">,
): { first: Script[]; last: Script[] } {
  const [first, last] = [true, false].map((isFirst) =>
    united(givingBack.filter(isRules))
      .filter((one) => comesFirst(one, hooks) === isFirst)
      .map((one) => backScript(one, hooks)),
  );
  return { first: first ?? [], last: last ?? [] };
}

export function givesTrees({ givingBack }: Handover): boolean {
  return givingBack.some(isQdisc);
}

/** Devices whose trees change hands and stand as they are wanted: nothing of them is written, so nothing is undone. */
export function standingAsWanted(
  { taking, givingBack }: Handover,
  differences: readonly Difference[],
): string[] {
  return [...taking, ...givingBack]
    .filter(isQdisc)
    .map(({ device }) => device)
    .filter((device) => !differences.some(({ object }) => object.startsWith(`${device}/`)));
}

/** A target with the trees of others on their devices: those that are given back, or that stood before a change. */
export function withTrees(target: Target, taken: readonly Taken[]): Target {
  const trees = taken.filter(isQdisc);
  if (trees.length === 0) return target;
  const devices = target.devices.map((device) => {
    const tree = trees.find((one) => one.device === device.device)?.tree;
    const isBare = (device.egress?.qdiscs.length ?? 0) === 0;
    return tree !== undefined && isBare ? { ...device, egress: tree } : device;
  });
  const missing = trees.filter(({ device }) => !devices.some((one) => one.device === device));
  return {
    ...target,
    devices: [...devices, ...missing.map(({ device, tree }) => ({ device, egress: tree }))],
  };
}
