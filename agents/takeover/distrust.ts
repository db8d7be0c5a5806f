import type { Difference } from "@sluice/proto/manifest/difference";
import type { Driver, Target } from "../drivers/driver.ts";
import { parseList } from "../drivers/ipset/parse.ts";
import { iptablesTool } from "../drivers/iptables/tools.ts";
import { INGRESS_HANDLE, type TcSnapshot } from "../drivers/tc/snapshot.ts";
import type { Namespace } from "../exec/namespace.ts";
import type { Taken, TakenQdisc, TakenRules } from "./taken.ts";

/**
 * Whether the text that is kept of something foreign would bring it back: it is tried. What iptables-save and tc print is
 * given back to them in a throw-away namespace; there the kernel must show the same. `iptables-save` prints a rule of nft's
 * own (`ip saddr { 192.0.2.1 } drop`) as another rule, and ends with 0.
 */
export interface DistrustParts {
  live: Namespace;
  openRoom(target: Target): Promise<{ at: Namespace; close(): Promise<void> }>;
  tc: {
    read(at: Namespace, target: Target): Promise<TcSnapshot>;
    diff(target: Target, want: TcSnapshot, have: TcSnapshot): Difference[];
    build(at: Namespace, target: Target): Promise<void>;
  };
}

export function createTrial(
  parts: Pick<DistrustParts, "live" | "openRoom">,
  tc: Driver<TcSnapshot>,
): DistrustParts {
  return {
    ...parts,
    tc: {
      read: tc.read,
      diff: tc.diff,
      async build(at, target) {
        for (const script of tc.render(target, undefined, await tc.read(at, target)).build)
          await tc.write(at, script);
      },
    },
  };
}

const NO_TC: TcSnapshot = { devices: {} };
const NOTHING: Target = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };

/** Why not, by name; none: all of it can. */
export async function distrust(parts: DistrustParts, taken: readonly Taken[]): Promise<string[]> {
  const reasons: string[] = [];
  const seen = new Set<string>();
  for (const one of taken) {
    const name = one.kind === "rules" ? `${one.family}/${one.table}` : one.device;
    if (seen.has(name)) continue;
    seen.add(name);
    const reason = one.kind === "rules" ? await distrustTable(parts, one) : await distrustQdisc(parts, one);
    if (reason !== undefined) reasons.push(reason);
  }
  return reasons;
}

async function distrustTable(parts: DistrustParts, one: TakenRules): Promise<string | undefined> {
  const { backend, family, table } = one;
  const what = `ip${family}/${table} can't be taken over: its text can't be trusted`;
  const saved = await parts.live.run(iptablesTool(backend, family, "save"), ["-t", table]);
  if (saved.code !== 0) return `${what}: ${saved.stderr.trim()}`;
  if (backend === "legacy") return undefined; // its rules have no other form
  const room = await parts.openRoom(NOTHING);
  try {
    await room.at.run("ipset", ["restore"], { input: await setStubs(parts.live, saved.stdout) });
    const input = saved.stdout;
    const restored = await room.at.run(iptablesTool(backend, family, "restore"), ["-w", "5"], { input });
    if (restored.code !== 0) return `${what}: ${restored.stderr.trim()}`;
    const [there, here] = await Promise.all([room.at, parts.live].map((at) => native(at, family, table)));
    const odd = firstOdd(here ?? [], there ?? []);
    return odd === undefined ? undefined : `${what}: nft shows in it \`${odd.trim()}\``;
  } finally {
    await room.close();
  }
}

function firstOdd(here: readonly string[], there: readonly string[]): string | undefined {
  const at = here.findIndex((line, index) => line !== there[index]);
  return at >= 0 ? here[at] : there[here.length];
}

/** nft's own view of a table's rules, chain by chain, without counters. Hooks that hold nothing come and go. */
async function native(at: Namespace, family: 4 | 6, table: string): Promise<string[]> {
  const { stdout } = await at.run("nft", ["-s", "list", "table", family === 4 ? "ip" : "ip6", table]);
  const chains = new Map<string, string[]>();
  let rules: string[] = [];
  for (const line of stdout.split("\n")) {
    const opened = /^\t(?:chain|set|map) (\S+) \{/.exec(line)?.[1];
    if (opened !== undefined) {
      rules = [];
      chains.set(opened, rules);
    } else if (line.startsWith("\t\t") && !/ policy accept;$/.test(line)) {
      rules.push(line.trim());
    }
  }
  return [...chains.keys()]
    .sort()
    .flatMap((name) => (chains.get(name) ?? []).map((rule) => `${name}: ${rule}`));
}

/** The sets that the rules look into, empty. */
async function setStubs(live: Namespace, rules: string): Promise<string> {
  const names = new Set([...rules.matchAll(/--(?:match|add|del|map)-set (\S+)/g)].map(([, name]) => name));
  if (names.size === 0) return "";
  const { stdout } = await live.run("ipset", ["list", "-t"]);
  return parseList(stdout)
    .filter(({ name }) => names.has(name))
    .map(({ name, type, family, options }) => {
      const inFamily = family === null ? [] : ["family", family === 6 ? "inet6" : "inet"];
      return `${["create", name, type, ...inFamily, ...options].join(" ")}\n`;
    })
    .join("");
}

export async function distrustQdisc(
  parts: DistrustParts,
  one: Pick<TakenQdisc, "device" | "tree">,
): Promise<string | undefined> {
  const target = { ...NOTHING, devices: [{ device: one.device, egress: one.tree }] };
  const room = await parts.openRoom(target);
  try {
    await parts.tc.build(room.at, target);
    const [there = NO_TC, here = NO_TC] = await Promise.all(
      [room.at, parts.live].map((at) => parts.tc.read(at, target)),
    );
    const [odd] = parts.tc.diff(target, there, here);
    if (odd === undefined && groups(there, one.device) === groups(here, one.device)) return undefined;
    const what = odd?.object ?? `${one.device}/filter`;
    return `the qdisc of ${one.device} can't be taken over: built from its text ${what} comes out otherwise`;
  } catch (error) {
    return `the qdisc of ${one.device} can't be taken over: its text can't be trusted: ${String(error)}`;
  } finally {
    await room.close();
  }
}

/** The places that filters occupy: one without a handle is nowhere else to be seen. */
function groups({ devices }: TcSnapshot, device: string): string {
  const all = devices[device]?.groups ?? [];
  return JSON.stringify(all.filter(({ parent }) => parent !== INGRESS_HANDLE));
}
