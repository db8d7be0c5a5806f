import { ACCEPT_CHAIN, ACCEPT_MARK, FAMILIES, type Family } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { AcceptWay, HookName, ManifestChain, ManifestRule } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import type { Assembly } from "./assembly.ts";
import type { Entry } from "./dispatch.ts";
import { type Reporter, TOP } from "./findings.ts";
import { type CompiledChain, chainKey, type RuleWriter, rulesOf } from "./firewall.ts";
import type { CompiledRule } from "./rule.ts";

/**
 * What ACCEPT means in the filter table.
 *
 * `final`: the packet has passed; what other tools have in the hook never sees it.
 * `return`: ours have nothing against it. It leaves our head, meets the rules of others (fail2ban, Docker), and our tail,
 * which would drop what nobody decided, lets it pass. What was accepted is remembered in a bit of the packet's mark:
 *
 *   rule ──goto──▶ SL-accept sets the bit; a goto's end is the end of the chain it stands in
 *   each jump to a chain that can accept is followed by: bit set → RETURN (in the head as well)
 *   tail: bit set → ACCEPT
 *
 * The bit is cleared where a head begins, and before a packet leaves the server: nobody brings it, nobody sees it.
 *
 * Unless the policy says which, it is `return` exactly in the hooks where others have chains (docs/decisions/0035).
 */
export interface Accepting {
  /** `return` where it isn't said, in a family and hook */
  wayOf(family: Family, hook: HookName): AcceptWay;
  /** the families in which ACCEPT is written as a mark, since one of the policy's hooks asks for it */
  marked: ReadonlySet<Family>;
}

const BIT = ["-m", "mark", "--mark", ACCEPT_MARK];

export function acceptingOf(
  { firewall }: PolicyDocument,
  { capabilities, foreign }: Facts,
  report: Reporter,
): Accepting {
  const said = firewall.accept?.way;
  if (said === "return" && !capabilities.targets.includes("MARK"))
    report.problem(
      { ...TOP, ...firewall.accept, path: "firewall.accept" },
      "`accept: return` needs MARK, which this kernel hasn't",
    );
  const isShared = (family: Family, hook: HookName) =>
    capabilities.targets.includes("MARK") && (foreign?.jumps.includes(`ip${family}/filter/${hook}`) ?? false);
  const wayOf = (family: Family, hook: HookName) => said ?? (isShared(family, hook) ? "return" : "final");
  const used = HOOKS_OF.filter.filter((hook) =>
    firewall.chains.some(({ table, name }) => table === "filter" && name === hook),
  );
  const marked = FAMILIES.filter((family) => used.some((hook) => wayOf(family, hook) === "return"));
  return { wayOf, marked: new Set(marked) };
}

/** The keys of the chains in which a packet of this family can be accepted, there or in one that they lead to. */
export function acceptingChains(compiled: readonly CompiledChain[], family: Family): Set<string> {
  const leadHere = new Map<string, string[]>();
  const accepting: string[] = [];
  for (const chain of compiled)
    for (const { effect, next, observed } of rulesOf(chain, family)) {
      if (observed) continue;
      if (effect === "accept") accepting.push(chainKey(chain));
      if (next === undefined) continue;
      const to = chainKey({ table: chain.table, name: next.chain });
      leadHere.set(to, [...(leadHere.get(to) ?? []), chainKey(chain)]);
    }
  const found = new Set(accepting);
  for (const key of found) for (const from of leadHere.get(key) ?? []) found.add(from);
  return found;
}

/** Writes the rules of a policy: where ACCEPT is a mark, with what that takes. */
export function ruleWriter(
  compiled: readonly CompiledChain[],
  { marked }: Accepting,
  plainly: (chain: CompiledChain, rule: CompiledRule, family: Family) => ManifestRule,
): RuleWriter {
  const filter = compiled.filter(({ table }) => table === "filter");
  const accepting = new Map([...marked].map((family) => [family, acceptingChains(filter, family)]));
  return (chain, rule, family) => {
    const { origin, next, effect, observed } = rule;
    const leadsTo = chain.table === "filter" ? accepting.get(family) : undefined;
    const plain = plainly(chain, rule, family);
    if (observed || leadsTo === undefined) return [plain];
    if (effect === "accept")
      return [{ ...plain, args: quoteWords([...rule.matches(family), "-g", ACCEPT_CHAIN]) }];
    if (next === undefined || next.goto || !leadsTo.has(chainKey({ table: "filter", name: next.chain })))
      return [plain];
    return [plain, { args: quoteWords(ifAccepted("RETURN")), origin, counts: "nothing" }];
  };
}

/** What becomes of a packet that a policy's rules in a hook of filter accepted; after those of others it has passed. */
export function addAccepted(
  { dispatches, families }: Pick<Assembly, "dispatches" | "families">,
  chains: readonly CompiledChain[],
  chain: CompiledChain,
  accepting: Accepting,
): void {
  const { hook, origin, isAfter = false } = chain;
  const dispatch = dispatches.get(`filter/${hook}`);
  if (dispatch === undefined || hook === undefined) return;
  const leaving = dispatches.get("mangle/POSTROUTING")?.marks ?? [];
  for (const family of families) {
    if (!acceptingChains(chains, family).has(chainKey(chain))) continue;
    const way = accepting.wayOf(family, hook);
    if (!isAfter && dispatch.accept.get(family) !== "return") dispatch.accept.set(family, way);
    if (!accepting.marked.has(family)) continue;
    dispatch.marked.add(family);
    const step = (words: readonly string[]): Entry => ({
      ...{ words, families: [family], origin, counts: "nothing", observed: true },
    });
    const target = way === "return" && !isAfter ? "RETURN" : "ACCEPT";
    dispatch[isAfter ? "after" : "entries"].push(step(ifAccepted(target)));
    if (hook !== "INPUT" && !leaving.some((one) => isClearing(one, family)))
      leaving.unshift(step(CLEAR_ACCEPTED));
  }
}

function isClearing({ families, words }: Entry, family: Family): boolean {
  return words === CLEAR_ACCEPTED && families.includes(family);
}

/** The words of a rule for packets that were accepted. */
export function ifAccepted(target: "RETURN" | "ACCEPT"): string[] {
  return [...BIT, "-j", target];
}

export const CLEAR_ACCEPTED = ["-j", "MARK", "--set-xmark", ACCEPT_MARK.replace(/^[^/]*/, "0x0")];

export function acceptChain(family: Family): ManifestChain {
  const rules: ManifestRule[] = [{ args: `-j MARK --set-xmark ${ACCEPT_MARK}`, counts: "nothing" }];
  return { family, table: "filter", name: ACCEPT_CHAIN, rules };
}
