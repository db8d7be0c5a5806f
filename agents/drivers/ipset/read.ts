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
    const listed = await at.run("ipset", ["list", "-t"]);
    if (listed.code !== 0) throw unreadable(at, listed);
    const ours = parseList(listed.stdout).filter(({ name }) => name.startsWith(SET_PREFIX));
    const sets = new Map(ours.map((set) => [set.name, set]));
    const whole = await readWhole(
      at,
      wanted.filter((name) => sets.has(name)),
    );
    const looked = Array.isArray(whole) ? await lookIntoEach(at, lists, sets) : undefined;
    if (Array.isArray(whole) && looked === undefined) {
      for (const set of whole) sets.set(set.name, set);
      return { sets };
    }
    // a set went between the two: after such an error the same `ipset -` lists nothing true
    if (attempt === READ_TRIES) throw unreadable(at, looked ?? (Array.isArray(whole) ? listed : whole));
  }
}

/** Hands each list's members to its look; what failed, if one did. */
async function lookIntoEach(
  at: Namespace,
  lists: readonly TargetSet[],
  sets: Map<string, SetSnapshot>,
): Promise<RunResult | undefined> {
  for (const { name, live } of lists) {
    const standing = sets.get(name);
    if (standing === undefined || live === undefined) continue;
    const { look } = live;
    look.begin();
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

async function readWhole(at: Namespace, names: readonly string[]): Promise<SetSnapshot[] | RunResult> {
  if (names.length === 0) return [];
  const input = names.map((name) => `list ${name}\n`).join("");
  const listed = await at.run("ipset", ["-"], { input, timeoutMs: MEMBERS_TIMEOUT_MS });
  return listed.code === 0 && listed.stderr.trim() === "" ? parseList(listed.stdout) : listed;
}

function unreadable(at: Namespace, { stderr, code, timedOut }: RunResult): SluiceError {
  const why = timedOut ? "it took too long" : stderr.trim() || `exit code ${code}`;
  return new SluiceError("UNAVAILABLE", `sets in ${at.name} can't be read: ${why}`);
}
