import { type Family, policyChain } from "@sluice/proto/base/names";
import type { HookName, Origin, TableName } from "@sluice/proto/manifest/manifest";
import { canonicalEntry } from "@sluice/proto/policy/addresses";
import type { PolicyDocument } from "@sluice/proto/policy/document";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { acceptingOf, addAccepted, ruleWriter } from "./accept.ts";
import type { Assembly } from "./assembly.ts";
import { BLOCK_PLACES, type Dispatch, type Entry } from "./dispatch.ts";
import { compileExternal } from "./external.ts";
import { listed, placeOf, type Reporter, type Spot, TOP } from "./findings.ts";
import {
  type CompiledChain,
  canDrop,
  chainNames,
  compileChains,
  renderChains,
  renderRule,
  rulesOf,
} from "./firewall.ts";
import { type CompiledGuard, compileGuard } from "./guards.ts";
import { compareText } from "./input.ts";
import { takeNames } from "./names-taken.ts";
import { createObserver, type Observer } from "./observe.ts";
import { type Extra, exemptOf, recentLists, withExtra } from "./observe-policy.ts";
import { compileSets, createSetScope } from "./sets.ts";
import { addShaping, renderShapeChain } from "./shaping.ts";
import { addTakeover } from "./takeover.ts";
import { compileTests } from "./tests.ts";
import { substituteVariables } from "./variables.ts";

/** Adds one policy to what its server is to hold; returns it as it is on this server, with its variables replaced. */
export function addPolicy(assembly: Assembly, asWritten: PolicyDocument, report: Reporter): PolicyDocument {
  const { input, families } = assembly;
  const document = substituteVariables(asWritten, input.server, report);
  takeNames(document, assembly.taken, report);

  const sets = createSetScope(document, input.lists);
  const scope = {
    report,
    ...sets,
    findSet(name: string) {
      const found = sets.findSet(name);
      if (found !== undefined && name.startsWith("list:")) assembly.lists.add(name.slice("list:".length));
      return found;
    },
    chains: chainNames(document),
    recentMaxHits: input.facts.capabilities.recentMaxHits,
  };

  assembly.sets.push(...compileSets(document, scope.findSet, input.facts, families, report));
  const blocks = knownBlocks(assembly, document, report);
  tellListSize(assembly, document, report);
  const guards = document.guards.map((guard) => compileGuard(guard, scope.recentMaxHits, report));
  const written = compileChains(document.policy, document.firewall.chains, scope);
  const guardChains = guards.flatMap(({ chains }) => chains);
  const extra = { blocks, guardJumps: guards.flatMap(({ jumps }) => jumps) };
  const chains =
    document.mode === "observe"
      ? withExtra(written, extra, document.policy, report.origin({ line: 1, path: "mode" }))
      : written;
  const all = [...chains, ...guardChains];
  const observer = createObserver({
    facts: input.facts,
    report,
    chains: all,
    exempt: exemptOf(document, extra, input, all),
    takeName: (table, name) =>
      assembly.taken.take(
        table,
        name,
        `what is observed of ${document.policy}`,
        { ...TOP, path: "mode" },
        report,
      ),
  });
  checkRecent(assembly, document, report);
  checkDefaults(assembly, document, report);
  if (document.mode === "observe") {
    observeHooks(assembly, document, chains, observer, report);
  } else {
    addBlocks(assembly, blocks);
    addGuards(assembly, guards);
    addChains(assembly, { document, chains: written, guardChains, observer, report });
    addDefaults(assembly, document, report);
    addProtected(assembly, document, report);
  }
  assembly.chains.push(...observer.chains);

  const rules = addShaping(
    assembly.shaping,
    document.shaping,
    asWritten.shaping,
    input.facts,
    families,
    scope,
  );
  for (const family of families)
    for (const chain of renderShapeChain(document.policy, rules, family)) {
      assembly.chains.push(chain);
      const [shaping] = document.shaping;
      const origin = report.origin({ line: shaping?.line ?? 1, path: "shaping" });
      dispatchOf(assembly, "mangle", "POSTROUTING").marks.push({
        families: [family],
        words: ["-j", chain.name],
        origin,
      });
    }
  assembly.external.push(compileExternal(document, chains, families));
  addAddresses(assembly, document, report);
  assembly.tests.push(...compileTests(document, report));
  if (document.mode !== "observe") addTakeover(assembly, document, report);
  return document;
}

export function dispatchOf({ dispatches }: Assembly, table: TableName, hook: HookName): Dispatch {
  const dispatch = dispatches.get(`${table}/${hook}`);
  if (dispatch === undefined) throw new TypeError(`the table ${table} has no ${hook}`);
  return dispatch;
}

type Block = Extra["blocks"][number];

function knownBlocks(assembly: Assembly, { blocks }: PolicyDocument, report: Reporter): Block[] {
  const { lists } = assembly.input;
  return blocks.flatMap(({ list, direction, line, column }, index) => {
    const at: Spot = { line, column, path: `blocks[${index}]` };
    const known = Object.hasOwn(lists, list) ? lists[list] : undefined;
    if (known === undefined) {
      const names = listed(
        Object.keys(lists).sort(compareText),
        "one that `sluice list create` made: there is none",
      );
      report.problem(at, `there is no list ${list}`, { found: list, expected: names });
      return [];
    }
    assembly.lists.add(list);
    const ways = direction === "both" ? (["in", "out"] as const) : [direction];
    const places = ways.flatMap((way) => BLOCK_PLACES[way]);
    return [{ list, families: known.families, places, origin: report.origin(at) }];
  });
}

function addBlocks(assembly: Assembly, blocks: readonly Block[]): void {
  for (const { list, families, places, origin } of blocks)
    for (const { table, hook } of places) {
      const dispatch = dispatchOf(assembly, table, hook);
      if (!dispatch.blocks.some((block) => block.list === list))
        dispatch.blocks.push({ list, families, origin });
    }
}

/** Of guards: once for a policy, since a longer list is a matter of the server alone. */
function tellListSize({ input }: Assembly, { guards: [first] }: PolicyDocument, report: Reporter): void {
  const { recentListSize } = input.facts.capabilities;
  if (first === undefined || recentListSize === undefined) return;
  report.warn(
    { line: first.line, path: `guards.${first.name}` },
    `a guard remembers ${recentListSize} addresses here, then forgets the oldest (ip_list_tot of the kernel's xt_recent)`,
  );
}

function addGuards(assembly: Assembly, guards: readonly CompiledGuard[]): void {
  const { entries } = dispatchOf(assembly, "filter", "INPUT");
  for (const { words, families, origin, counts } of guards.flatMap(({ jumps }) => jumps))
    entries.push({ words: words(4), families, origin, counts });
}

function addChains(
  assembly: Assembly,
  parts: {
    document: PolicyDocument;
    chains: readonly CompiledChain[];
    guardChains: readonly CompiledChain[];
    observer: Observer;
    report: Reporter;
  },
): void {
  const { chains, guardChains, observer } = parts;
  const accepting = acceptingOf(parts.document, assembly.input.facts, parts.report);
  const write = ruleWriter(chains, accepting, (chain, rule, family) =>
    rule.observed ? observer.lone(rule, chain.table, family) : renderRule(rule, family),
  );
  assembly.chains.push(...renderChains([...chains, ...guardChains], assembly.families, write));
  for (const chain of chains) {
    if (chain.hook === undefined) continue;
    const dispatch = dispatchOf(assembly, chain.table, chain.hook);
    dispatch.drops ||= canDrop(chains, chain.table, chain.hook);
    dispatch[chain.isAfter ? "after" : "entries"].push({
      families: assembly.families.filter((family) => rulesOf(chain, family).length > 0),
      words: ["-j", chain.kernelName],
      origin: chain.origin,
      counts: "nothing",
    });
    if (chain.table === "filter") addAccepted(assembly, chains, chain, accepting);
  }
}

/** Into each hook of an observed policy, and at the end of those with a default once more. */
function observeHooks(
  assembly: Assembly,
  { policy, firewall }: PolicyDocument,
  chains: readonly CompiledChain[],
  observer: Observer,
  report: Reporter,
): void {
  for (const chain of chains) {
    if (chain.hook === undefined) continue;
    for (const family of assembly.families) {
      if (rulesOf(chain, family).length === 0) continue;
      const words = ["-j", observer.enter(chain, family)];
      const { entries, after } = dispatchOf(assembly, chain.table, chain.hook);
      (chain.isAfter ? after : entries).push(passing(words, family, chain.origin));
    }
  }
  for (const said of firewall.defaults) {
    const { hook } = said;
    if (!HOOKS_OF.filter.includes(hook)) continue; // a problem already
    const origin = report.origin(defaultAt(said));
    const parts = chains.filter((chain) => chain.table === "filter" && chain.hook === hook);
    const rules = parts.flatMap((chain) => chain.rules);
    const made = {
      table: "filter",
      name: hook,
      kernelName: policyChain(policy, hook),
      hook,
      origin,
    } as const;
    const asked: CompiledChain = { ...made, ...parts[0], rules };
    for (const family of assembly.families)
      dispatchOf(assembly, "filter", hook).asks.push(
        passing(["-j", observer.ask(asked, family, origin)], family, origin),
      );
  }
}

function passing(words: string[], family: Family, origin: Origin): Entry {
  return { words, families: [family], origin, observed: true, counts: "nothing" };
}

type PolicyDefault = PolicyDocument["firewall"]["defaults"][number];

function defaultAt({ hook, line, column }: PolicyDefault): Spot {
  return { line, column, path: `firewall.filter.${hook}.default` };
}

/** The kernel has one recent list of a name: what an observed policy writes to it, another must not read. */
function checkRecent({ recent }: Assembly, document: PolicyDocument, report: Reporter): void {
  const isObserved = document.mode === "observe";
  for (const [name, at] of recentLists(document)) {
    const other = recent.find((one) => one.name === name && (one.isObserved || isObserved));
    if (other !== undefined)
      report.problem(
        at,
        `the recent list ${name} is also used by ${other.policy}, and one of them is observed`,
        {
          found: name,
          expected: "a name that no other policy uses",
        },
      );
  }
  for (const name of recentLists(document).keys()) recent.push({ name, policy: document.policy, isObserved });
}

function checkDefaults(assembly: Assembly, { firewall }: PolicyDocument, report: Reporter): void {
  for (const said of firewall.defaults) {
    const { hook, log } = said;
    const at = defaultAt(said);
    if (!HOOKS_OF.filter.includes(hook))
      report.problem(at, `the table filter has no ${hook}`, { expected: HOOKS_OF.filter.join(", ") });
    else if (log !== undefined) checkLog(assembly, log, at, report);
  }
}

/** A hook has one end: two policies must want the same. */
function addDefaults(assembly: Assembly, { firewall }: PolicyDocument, report: Reporter): void {
  for (const said of firewall.defaults) {
    const { hook, verdict, log } = said;
    if (!HOOKS_OF.filter.includes(hook)) continue; // a problem already
    const at = defaultAt(said);
    const dispatch = dispatchOf(assembly, "filter", hook);
    const { tail } = dispatch;
    if (tail !== undefined && (tail.verdict !== verdict || tail.log !== log))
      report.problem(
        at,
        `${hook} can't end in two ways: ${placeOf(tail.origin)} and ${report.policy} line ${at.line} differ`,
        { found: describeEnd(verdict, log), expected: describeEnd(tail.verdict, tail.log) },
      );
    dispatch.tail ??= { verdict, log, origin: report.origin(at) };
  }
}

function describeEnd(verdict: string, log: string | undefined): string {
  return log === undefined ? verdict : `${verdict} with the log prefix ${JSON.stringify(log)}`;
}

const LOG_PREFIX_MAX = 29;

function checkLog({ input }: Assembly, log: string, at: Spot, report: Reporter): void {
  if (!input.facts.capabilities.targets.includes("LOG")) report.problem(at, "this kernel has no LOG target");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (log.length > LOG_PREFIX_MAX || /[\u0000-\u001f\u007f]/.test(log))
    report.problem(at, "the log prefix can't be used", {
      found: JSON.stringify(log),
      expected: `at most ${LOG_PREFIX_MAX} printable characters`,
    });
}

function addProtected(assembly: Assembly, document: PolicyDocument, report: Reporter): void {
  for (const [index, { text, line, column }] of document.protect.entries()) {
    const at: Spot = { line, column, path: `protect[${index}]` };
    const entry = canonicalEntry(text)?.entry;
    if (entry === undefined || entry.includes("-"))
      report.problem(at, "this is no address or network", { found: text });
    else if (entry.endsWith("/0"))
      report.problem(at, "protecting every address would leave nothing to drop", { found: text });
    else assembly.protect.add(entry);
  }
}

function addAddresses(assembly: Assembly, document: PolicyDocument, report: Reporter): void {
  for (const [index, { tcp, line, column }] of document.probes.entries()) {
    const at: Spot = { line, column, path: `probes[${index}]` };
    const probe = canonicalProbe(tcp);
    if (probe === undefined)
      report.problem(at, "this is no address with a port", {
        found: tcp,
        expected: "192.0.2.1:443 or [2001:db8::1]:443",
      });
    else assembly.probes.push({ tcp: probe, origin: report.origin(at) });
  }
  for (const [index, { protocol, port, line }] of document.reach.entries())
    assembly.reach.push({ protocol, port, origin: report.origin({ line, path: `reach[${index}]` }) });
}

function canonicalProbe(text: string): string | undefined {
  const found = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const address = canonicalEntry(found?.[1] ?? found?.[2] ?? "");
  const port = Number(found?.[3]);
  if (address === undefined || /[/-]/.test(address.entry) || !(port >= 1 && port <= 65535)) return undefined;
  if ((address.family === 6) !== (found?.[1] !== undefined)) return undefined;
  return address.family === 6 ? `[${address.entry}]:${port}` : `${address.entry}:${port}`;
}
