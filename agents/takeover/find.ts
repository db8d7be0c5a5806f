import { FAMILIES } from "@sluice/proto/base/names";
import { type ManifestTakeover, TABLES, type TcTree } from "@sluice/proto/manifest/manifest";
import { type Claimed, type ClaimedRule, claimedOf, claimsIn } from "../drivers/iptables/claims.ts";
import { type IptablesSnapshot, tableKey } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import { askableWords } from "../drivers/tc/askable-words.ts";
import { configuredRoot } from "../drivers/tc/foreign.ts";
import type { DeviceState, TcSnapshot } from "../drivers/tc/snapshot.ts";
import { INGRESS_HANDLE } from "../drivers/tc/snapshot.ts";
import { claimKey, type TakenQdisc, type TakenRules } from "./taken.ts";

/** What stands of the claims on tables, each thing by the first claim that names it. Pure. */
export function standingRules(
  takeover: readonly ManifestTakeover[],
  { tables }: IptablesSnapshot,
  backend: IptablesBackend,
): TakenRules[] {
  return FAMILIES.flatMap((family) =>
    TABLES.flatMap((table) => {
      const have = tables.get(tableKey(family, table));
      const earlier: Claimed[] = [];
      const claims = claimsIn(takeover, family, table);
      const whole = claimedOf(claims, have);
      return claims.flatMap((claim) => {
        const all = claimedOf([claim], have);
        const own = all && without(withPlaces(all, whole), earlier);
        if (own === undefined) return [];
        earlier.push(own);
        return [{ kind: "rules" as const, claim: claimKey(claim), backend, ...own }];
      });
    }),
  );
}

/** Where each rule stands among those that stay once all claims are taken. */
function withPlaces(claimed: Claimed, whole: Claimed | undefined): Claimed {
  const placed = (rule: ClaimedRule) =>
    whole?.rules.find(({ chain, index }) => chain === rule.chain && index === rule.index) ?? rule;
  return { ...claimed, rules: claimed.rules.map(placed) };
}

function without(claimed: Claimed, earlier: readonly Claimed[]): Claimed | undefined {
  const own = {
    ...claimed,
    policies: claimed.policies.filter(
      ({ hook }) => !earlier.some((one) => one.policies.some((other) => other.hook === hook)),
    ),
    rules: claimed.rules.filter(
      ({ chain, index }) =>
        !earlier.some((one) => one.rules.some((other) => other.chain === chain && other.index === index)),
    ),
    chains: claimed.chains.filter(
      ({ name }) => !earlier.some((one) => one.chains.some((other) => other.name === name)),
    ),
  };
  return own.policies.length + own.rules.length + own.chains.length === 0 ? undefined : own;
}

/** The foreign root qdiscs of claimed devices. `ours`: devices whose root is ours already. Pure. */
export function standingQdiscs(
  takeover: readonly ManifestTakeover[],
  snapshot: TcSnapshot,
  ours: ReadonlySet<string>,
): TakenQdisc[] {
  return takeover.flatMap((claim) => {
    if (claim.what !== "qdisc" || ours.has(claim.device)) return [];
    const tree = standingTree(snapshot, claim.device);
    return tree === undefined
      ? []
      : [{ kind: "qdisc" as const, claim: claimKey(claim), device: claim.device, tree }];
  });
}

/** What somebody configured on a device, as it would be asked for. */
export function standingTree(snapshot: TcSnapshot, device: string): TcTree | undefined {
  const state = snapshot.devices[device];
  return state === undefined || configuredRoot(snapshot, device) === undefined ? undefined : treeOf(state);
}

function treeOf({ qdiscs, classes, filters }: DeviceState): TcTree {
  return {
    qdiscs: qdiscs
      .filter(({ handle }) => handle !== INGRESS_HANDLE)
      .map(({ parent, handle, kind, words }) => ({ parent, handle, kind, args: askableWords(kind, words) })),
    classes: classes.map(({ parent, classid, kind, words }) => ({
      parent,
      classid,
      kind,
      args: askableWords(kind, words),
    })),
    filters: filters
      .filter(({ parent }) => parent !== INGRESS_HANDLE)
      .map(({ parent, protocol, prio, handle, kind, words }) => ({
        ...{ parent, protocol, prio, handle, kind, args: askableWords(kind, words) },
      })),
  };
}
