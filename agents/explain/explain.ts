import { messageOf } from "@sluice/proto/base/errors";
import type { Explanation, MetRule } from "@sluice/proto/manifest/test-result";
import { parseAddress } from "@sluice/proto/policy/addresses";
import type { Target } from "../drivers/driver.ts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { setOf, twinOf, type Unsaid } from "../packets/host-bound.ts";
import { type Around, type Asked, type Packet, packetOf, packetText } from "../packets/packet.ts";
import { type Match, rulePartsOf } from "../packets/rule-parts.ts";
import { ruleAt } from "../packets/run-tests.ts";
import { sendPacket } from "../packets/send.ts";
import type { Step } from "../packets/walk.ts";
import { keepTrue, type LiveRules, readLiveRules } from "./live-rules.ts";
import { readLiveSets, type SetUse } from "./live-sets.ts";

/**
 * Why a packet gets through on this server, or doesn't: the live rules of its family, foreign ones included, are copied
 * into a namespace that is thrown away, and it is sent there.
 *
 * 1. The live namespace is only read.
 * 2. A drop that the copy shows is one. That it gets through is only said where everything that could stop it was copied.
 * 3. What rules remember (limits, recent lists that hold it) isn't copied: where it decides, the verdict is unknown.
 */
export interface ExplainParts extends Around {
  live: Namespace;
  backend: IptablesBackend;
}

const MET_MAX = 200;
const CLIENT_PORT = 50_000;
/** Their state is the server's; in the copy they begin anew. */
const REMEMBER = new Set(["limit", "hashlimit", "connlimit", "quota"]);
/** After them a packet has other addresses than its sets were asked for. */
const REWRITE = /-j (DNAT|REDIRECT|NETMAP)\b/;

export async function explain(
  parts: ExplainParts,
  asked: Asked,
  held: Target | undefined,
): Promise<Explanation> {
  const { live, backend } = parts;
  const packet = withSourcePort(await packetOf(asked, parts));
  const said = { packet: packetText(packet), met: [], notCopied: [] };
  const elsewhere = asked.hook === "input" && asked.to !== undefined && !isOwn(parts, asked.to);
  if (elsewhere)
    return {
      ...said,
      verdict: "unknown",
      reason: `${asked.to} isn't an address of this server: is the packet to be forwarded?`,
    };

  const read = await readLiveRules(live, backend, packet.family);
  const uses = setUsesOf(read);
  const sets = await readLiveSets(live, uses, packet);
  const load = (at: Namespace, lines: readonly string[]) => restore(at, backend, packet, sets.lines, lines);
  const rules = await trusted(parts, packet, read, load);
  const recent = await recentlySeen(live, rules, packet);
  const unsaid: Unsaid = {
    chains: new Set(),
    whyNot(match) {
      const set = setOf(match);
      if (set !== undefined) return sets.untold.get(set);
      if (match.name === "recent") return recent.get(recentName(match));
      return REMEMBER.has(match.name) ? `-m ${match.name} (how much of it is used up)` : undefined;
    },
  };
  const asking = rules.lines.flatMap((line) => {
    const [, chain = "", rule = ""] = /^-A (\S+) ?(.*)$/.exec(line) ?? [];
    const twin = chain === "" ? undefined : twinOf(rule, unsaid);
    return twin === undefined ? [line] : [`-A ${chain} ${twin}`, line];
  });

  const sent = await sendPacket(
    { backend, devices: parts.devices },
    packet,
    (at) => load(at, asking),
    unsaid,
  );
  const { walked, lines } = sent;
  const told = (step: Step | undefined): MetRule | undefined =>
    step && lines && ruleAt(step, packet.family, { chains: held?.chains ?? [] }, lines);
  const end = sent.kind === "accept" ? walked?.accepted : (walked?.end?.at ?? walked?.asks?.at);
  const decided = told(end);
  const found: Explanation = {
    ...said,
    verdict: sent.kind,
    met: (walked?.met ?? []).slice(0, MET_MAX).flatMap((step) => told(step) ?? []),
    notCopied: rules.notCopied,
    ...(decided !== undefined && { decided }),
    ...(sent.kind === "unknown" && { reason: sent.reason }),
  };
  return doubted(found, uses.length > 0);
}

/** Rules and sets may ask for the port that it comes from: one of those that clients use, where none is said. */
function withSourcePort(packet: Packet): Packet {
  const { protocol, fromPort } = packet;
  return protocol === "icmp" || fromPort !== undefined ? packet : { ...packet, fromPort: CLIENT_PORT };
}

/** What the copy shows, as far as it can be said of the server. */
function doubted(found: Explanation, hasSets: boolean): Explanation {
  const rewritten = found.met.find(({ rule }) => REWRITE.test(rule));
  if (hasSets && rewritten !== undefined && found.verdict !== "unknown")
    return {
      ...found,
      verdict: "unknown",
      reason: `its address was changed by ${rewritten.chain}: ${rewritten.rule}; what sets say of the new one wasn't copied`,
    };
  if (found.verdict !== "accept" || found.notCopied.length === 0) return found;
  return {
    ...found,
    verdict: "unknown",
    reason: `nothing that was copied stops it; not copied: ${found.notCopied.join("; ")}`,
  };
}

async function trusted(
  { live, backend }: ExplainParts,
  { family }: Packet,
  rules: LiveRules,
  load: (at: Namespace, lines: readonly string[]) => Promise<void>,
): Promise<LiveRules> {
  if (backend === "legacy") return rules;
  try {
    return await keepTrue(live, family, rules, load);
  } catch (error) {
    return {
      lines: [],
      notCopied: [...rules.notCopied, `the rules: a copy was refused (${messageOf(error)})`],
    };
  }
}

async function restore(
  at: Namespace,
  backend: IptablesBackend,
  { family }: Packet,
  sets: readonly string[],
  rules: readonly string[],
): Promise<void> {
  await feed(at, "ipset", ["restore"], sets);
  await feed(at, iptablesTool(backend, family, "restore"), [], rules);
}

async function feed(at: Namespace, tool: string, args: readonly string[], lines: readonly string[]) {
  if (lines.length === 0) return;
  const { code, stderr } = await at.run(tool, args, { input: `${lines.join("\n")}\n` });
  if (code !== 0) throw new Error(`${tool}: ${stderr.trim()}`);
}

function setUsesOf({ lines }: LiveRules): SetUse[] {
  const found = lines.flatMap((line) =>
    [...line.matchAll(/--(?:match|add|del|map)-set (\S+) (\S+)/g)].map(([, set = "", flags = ""]) => ({
      set,
      flags,
    })),
  );
  return [...new Map(found.map((use) => [`${use.set} ${use.flags}`, use])).values()];
}

/** Recent lists that hold an end of the packet: how long ago and how often isn't to be had from the kernel's ticks. */
async function recentlySeen(
  live: Namespace,
  { lines }: LiveRules,
  { from, to }: Packet,
): Promise<Map<string, string>> {
  const matches = lines.flatMap((line) =>
    line.includes("-m recent") ? rulePartsOf(line.replace(/^-A \S+ /, "")).matches : [],
  );
  const names = new Set(matches.filter(({ name }) => name === "recent").map(recentName));
  const ends = [from, to].map((address) => parseAddress(address)?.value);
  const seen = new Map<string, string>();
  for (const name of names) {
    const { stdout } = await live.run("cat", [`/proc/net/xt_recent/${name}`]);
    const held = [...stdout.matchAll(/^src=(\S+)/gm)].find(([, address = ""]) =>
      ends.includes(parseAddress(address)?.value),
    );
    if (held?.[1] !== undefined)
      seen.set(name, `the recent list ${name}, which holds ${held[1]} on the server`);
  }
  return seen;
}

function recentName({ words }: Match): string {
  const at = words.indexOf("--name");
  return at < 0 ? "DEFAULT" : (words[at + 1] ?? "DEFAULT");
}

function isOwn({ devices }: ExplainParts, address: string): boolean {
  return devices.some(({ addresses }) => addresses.some((one) => one.split("/")[0] === address));
}
