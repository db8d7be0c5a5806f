import { SluiceError } from "@sluice/proto/base/errors";
import { SET_PREFIX } from "@sluice/proto/base/names";
import type { Namespace, RunResult } from "../../exec/namespace.ts";
import type { Target, TargetSet } from "../driver.ts";
import { parseList } from "./parse.ts";
import type { IpsetSnapshot, SetMembers, SetSnapshot } from "./snapshot.ts";

const MEMBERS_TIMEOUT_MS = 60_000;
const READ_TRIES = 3;

/**
 * Headers of all our sets; members of those that are compared by them, all by one process. Lists mostly aren't; one that
 * is has a process of its own, whose output is compared while it comes.
 */
export async function readIpset(at: Namespace, target: Target): Promise<IpsetSnapshot> {
  const wanted = target.sets.filter(({ use }) => use !== "list").map(({ name }) => name);
  const lists = target.sets.filter(({ isReadWhole }) => isReadWhole);
  for (let attempt = 1; ; attempt++) {
    const read = (attempt === 1 && (await readTogether(at, wanted))) || (await readApart(at, wanted));
    const failed = read instanceof Map ? await lookIntoEach(at, lists, read) : read;
    if (read instanceof Map && failed === undefined) return { sets: read };
    // a set went meanwhile
    if (attempt === READ_TRIES && failed !== undefined) throw unreadable(at, failed);
  }
}

type Sets = Map<string, SetSnapshot>;

/**
 * The members of what is wanted and then all headers, by one process; undefined where something of it isn't there: after
 * such an error the same `ipset -` lists nothing true. The headers come last because a `-t` holds for all that follows.
 */
async function readTogether(at: Namespace, wanted: readonly string[]): Promise<Sets | undefined> {
  const sets = await listByOne(at, [...wanted.map((name) => `list ${name}`), "list -t"]);
  return sets instanceof Map ? sets : undefined;
}

/** First which sets there are, then the members of those that are wanted. */
async function readApart(at: Namespace, wanted: readonly string[]): Promise<Sets | RunResult> {
  const listed = await at.run("ipset", ["list", "-t"]);
  if (listed.code !== 0) throw unreadable(at, listed);
  const headers = oursIn(listed);
  const standing = wanted.filter((name) => headers.has(name));
  if (standing.length === 0) return headers;
  const whole = await listByOne(
    at,
    standing.map((name) => `list ${name}`),
  );
  return whole instanceof Map ? new Map([...headers, ...whole]) : whole;
}

async function listByOne(at: Namespace, lines: readonly string[]): Promise<Sets | RunResult> {
  const input = lines.map((line) => `${line}\n`).join("");
  const listed = await at.run("ipset", ["-"], { input, timeoutMs: MEMBERS_TIMEOUT_MS });
  return listed.code === 0 && listed.stderr.trim() === "" ? oursIn(listed) : listed;
}

/** By name, as each was printed first. */
function oursIn({ stdout }: RunResult): Sets {
  const sets: Sets = new Map();
  for (const set of parseList(stdout))
    if (set.name.startsWith(SET_PREFIX) && !sets.has(set.name)) sets.set(set.name, set);
  return sets;
}

/** Hands each list's members to its look; what failed, if one did. */
async function lookIntoEach(
  at: Namespace,
  lists: readonly TargetSet[],
  sets: Sets,
): Promise<RunResult | undefined> {
  for (const { name, live } of lists) {
    const standing = sets.get(name);
    if (standing === undefined || live === undefined) continue;
    const { look } = live;
    await look.begin();
    const onOutput = (bytes: Uint8Array) => look.heard(bytes);
    const listed = await at.run("ipset", ["list", name], { timeoutMs: MEMBERS_TIMEOUT_MS, onOutput });
    if (listed.code !== 0) return listed;
    standing.isReadWhole = true;
  }
  return undefined;
}

/** The members of one set, a list's too; undefined when there is no such set. */
export async function readMembers(at: Namespace, name: string): Promise<SetMembers | undefined> {
  const listed = await at.run("ipset", ["list", name], { timeoutMs: MEMBERS_TIMEOUT_MS });
  if (listed.code !== 0 && /does not exist/.test(listed.stderr)) return undefined;
  if (listed.code !== 0) throw unreadable(at, listed);
  return parseList(listed.stdout)[0]?.members;
}

function unreadable(at: Namespace, { stderr, code, timedOut }: RunResult): SluiceError {
  const why = timedOut ? "it took too long" : stderr.trim() || `exit code ${code}`;
  return new SluiceError("UNAVAILABLE", `sets in ${at.name} can't be read: ${why}`);
}
