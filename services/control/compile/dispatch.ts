import {
  controlSet,
  DOCKER_USER,
  type Family,
  headChain,
  listSet,
  protectSet,
  tailChain,
} from "@sluice/proto/base/names";
import type {
  AcceptWay,
  HookName,
  ManifestChain,
  ManifestHook,
  ManifestRule,
  Origin,
  TableName,
} from "@sluice/proto/manifest/manifest";
import { HOOKS_OF } from "@sluice/proto/policy/firewall";
import { quoteWords } from "@sluice/proto/policy/rule-words";
import { CLEAR_ACCEPTED, ifAccepted } from "./accept.ts";

/**
 * The chains that the built-in hooks jump to.
 *
 * 1. Where anything can drop, the first rules pass what must never be cut off: loopback, the protected addresses, the
 *    connections to control and NATS, and what keeps a server in its IPv6 network: neighbour discovery, multicast
 *    membership, a DHCPv6 lease. Nothing is ever put before them that ends a packet.
 * 2. Where nothing can drop (nat, plain marking) they are left out: an accept there would skip the marks and the
 *    translation of exactly these packets.
 * 3. Then: blocked lists, then policy by policy its guards and its own chain. The tail, behind the rules of others, holds
 *    what a policy says after them, and alone `default`. What is forwarded to a listed address is dropped by a rule that
 *    says itself whom it passes: for its sake nobody's packets skip what else stands in mangle FORWARD.
 *
 * Only the direction's own end is matched: the protected set holds this server's own addresses, so `dst` on the way in
 * would pass everything.
 */
export interface Dispatch {
  table: TableName;
  hook: HookName;
  /** jumps that end no packet (marks for shaping): they stand before everything else */
  marks: Entry[];
  blocks: { list: string; families: readonly Family[]; origin: Origin }[];
  entries: Entry[];
  /** in the tail: what stands after the rules of others */
  after: Entry[];
  /** at the end of the hook, before the tail's own rules: what observed policies would have dropped there */
  asks: Entry[];
  tail: { verdict: "drop" | "reject"; log: string | undefined; origin: Origin } | undefined;
  /** one of the entries' rules can drop */
  drops: boolean;
  /** what an accepted packet does here, in the families where one of the entries' rules can accept */
  accept: Map<Family, AcceptWay>;
  /** the families in which ACCEPT is a mark (accept.ts) */
  marked: Set<Family>;
  /** the families in which the head stands in Docker's chain */
  viaDocker: readonly Family[];
}

export interface Entry {
  families: readonly Family[];
  words: readonly string[];
  origin: Origin;
  counts?: ManifestRule["counts"];
  /** no packet fares otherwise for it */
  observed?: boolean;
}

const NEIGHBOUR_DISCOVERY = ["133", "134", "135", "136"];
/** Unanswered, a switch that snoops takes the server out of the groups by which neighbours find it. */
const MULTICAST_LISTENERS = ["130", "131", "132", "143"];

/** Every dispatch that has something in it, by table and hook, is filled in through this. */
export function createDispatches(dockerUser: readonly Family[]): Map<string, Dispatch> {
  const all = new Map<string, Dispatch>();
  for (const table of ["raw", "mangle", "nat", "filter"] as const)
    for (const hook of HOOKS_OF[table])
      all.set(`${table}/${hook}`, {
        table,
        hook,
        marks: [],
        blocks: [],
        entries: [],
        after: [],
        asks: [],
        tail: undefined,
        drops: false,
        accept: new Map(),
        marked: new Set(),
        viaDocker: table === "filter" && hook === "FORWARD" ? dockerUser : [],
      });
  return all;
}

/** Whether protected packets are passed before anything else here. */
export function passesProtected({ table, blocks, entries, after, tail, drops }: Dispatch): boolean {
  const decides = table === "filter" && [...entries, ...after].some(({ observed }) => !observed);
  return decides || (table === "raw" && blocks.length > 0) || tail !== undefined || drops;
}

export function renderDispatch(
  dispatch: Dispatch,
  family: Family,
): { chains: ManifestChain[]; hooks: ManifestHook[] } {
  const { table, hook, tail } = dispatch;
  // what another policy drops there is dropped whatever the observed ones say
  const asks = tail === undefined ? entryRules(dispatch.asks, family) : [];
  const content = [
    ...entryRules(dispatch.marks, family),
    ...blockRules(dispatch, family),
    ...entryRules(dispatch.entries, family),
  ];
  const after = entryRules(dispatch.after, family);
  const isEnding = tail !== undefined || asks.length + after.length > 0;
  if (content.length === 0 && !isEnding) return { chains: [], hooks: [] };

  const marks = entryRules(dispatch.marks, family);
  const passes = passesProtected(dispatch) ? passRules(hook, family) : [];
  const clear = dispatch.marked.has(family) ? [helper(CLEAR_ACCEPTED)] : [];
  const head: ManifestChain = {
    family,
    table,
    name: headChain(hook),
    rules: [...marks, ...passes, ...clear, ...content.slice(marks.length)],
  };
  const accept = dispatch.accept.get(family);
  const headHook: ManifestHook = {
    ...{ family, table, hook, chain: head.name, at: "head" },
    ...(dispatch.viaDocker.includes(family) && { via: DOCKER_USER }),
    ...(accept && { accept }),
  };
  const [chains, hooks] = head.rules.length === 0 ? [[], []] : [[head], [headHook]];
  if (!isEnding) return { chains, hooks };
  // where nothing is dropped, the verdict stays whose it is
  const passed = accept === "return" ? [helper(ifAccepted(tail === undefined ? "RETURN" : "ACCEPT"))] : [];
  const rules = [...passed, ...after, ...(tail === undefined ? asks : tailRules(tail))];
  const end: ManifestChain = { family, table, name: tailChain(hook), rules };
  const tailHook: ManifestHook = { family, table, hook, chain: end.name, at: "tail" };
  return { chains: [...chains, end], hooks: [...hooks, tailHook] };
}

/** A step on the way, no rule of a policy. */
function helper(words: readonly string[]): ManifestRule {
  return { args: quoteWords(words), counts: "nothing" };
}

function entryRules(entries: readonly Entry[], family: Family): ManifestRule[] {
  return entries
    .filter((entry) => entry.families.includes(family))
    .map(({ words, origin, counts }) => ({ args: quoteWords(words), origin, ...(counts && { counts }) }));
}

function blockRules({ hook, blocks }: Dispatch, family: Family): ManifestRule[] {
  return entryRules(
    blocks.map(({ list, families, origin }) => ({
      families,
      words: [...blockMatches(hook, list, family), "-j", "DROP"],
      origin,
    })),
    family,
  );
}

/** Where a list drops: raw, before anything else looks; what only passes through, where it is known where it goes. */
export const BLOCK_PLACES: Readonly<Record<"in" | "out", readonly { table: TableName; hook: HookName }[]>> = {
  in: [{ table: "raw", hook: "PREROUTING" }],
  out: [
    { table: "raw", hook: "OUTPUT" },
    { table: "mangle", hook: "FORWARD" },
  ],
};

export function blockMatches(hook: HookName, list: string, family: Family): string[] {
  const listed = matchSet(listSet(list, family), isInward(hook) ? "src" : "dst");
  if (hook !== "FORWARD") return listed;
  const others = ["src", "dst"].flatMap((end) => ["-m", "set", "!", "--match-set", protectSet(family), end]);
  return [...listed, ...others];
}

function passRules(hook: HookName, family: Family): ManifestRule[] {
  return passMatches(hook, family).map((words) => ({ args: quoteWords([...words, "-j", "ACCEPT"]) }));
}

/** What no policy may cut off, as matches. */
export function passMatches(hook: HookName, family: Family): string[][] {
  const protect = protectSet(family);
  if (hook === "FORWARD") return [matchSet(protect, "src"), matchSet(protect, "dst")];
  const [device, end] = isInward(hook) ? ["-i", "src"] : ["-o", "dst"];
  return [
    [device, "lo"],
    matchSet(protect, end),
    ["-p", "tcp", ...matchSet(controlSet(family), `${end},${end}`)],
    ...(family === 6 ? neighbourRules(hook) : []),
  ];
}

/** On the way out the last two go to multicast addresses, which are protected. */
function neighbourRules(hook: HookName): string[][] {
  const icmp = (type: string) => ["-p", "ipv6-icmp", "--icmpv6-type", type];
  const discovery = NEIGHBOUR_DISCOVERY.map(icmp);
  if (!isInward(hook)) return discovery;
  const fromNeighbour = ["-s", "fe80::/10"];
  return [
    ...discovery,
    ...MULTICAST_LISTENERS.map((type) => [...fromNeighbour, ...icmp(type)]),
    [...fromNeighbour, "-p", "udp", "--sport", "547", "--dport", "546"],
  ];
}

function tailRules({ verdict, log, origin }: NonNullable<Dispatch["tail"]>): ManifestRule[] {
  const end = { args: verdict === "drop" ? "-j DROP" : "-j REJECT", origin };
  return log === undefined
    ? [end]
    : [{ args: quoteWords(["-j", "LOG", "--log-prefix", log]), origin, counts: "nothing" }, end];
}

export function matchSet(set: string, flags: string): string[] {
  return ["-m", "set", "--match-set", set, flags];
}

export function isInward(hook: HookName): boolean {
  return hook === "PREROUTING" || hook === "INPUT";
}
