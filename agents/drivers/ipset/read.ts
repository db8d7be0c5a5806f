import { SluiceError } from "@sluice/proto/base/errors";
import { SET_PREFIX } from "@sluice/proto/base/names";
import type { Namespace, RunResult } from "../../exec/namespace.ts";
import type { Target } from "../driver.ts";
import { parseList } from "./parse.ts";
import type { IpsetSnapshot, SetMembers, SetSnapshot } from "./snapshot.ts";

const MEMBERS_TIMEOUT_MS = 60_000;

/** Headers of all our sets; members of those that the target wants as policy or protect sets, all by one process. */
export async function readIpset(at: Namespace, target: Target): Promise<IpsetSnapshot> {
  const listed = await at.run("ipset", ["list", "-t"]);
  if (listed.code !== 0) throw unreadable(at, listed);
  const sets = new Map<string, SetSnapshot>();
  for (const set of parseList(listed.stdout)) {
    if (set.name.startsWith(SET_PREFIX)) sets.set(set.name, set);
  }
  const whole = target.sets.filter((set) => set.use !== "list" && sets.has(set.name)).map(({ name }) => name);
  for (const set of await readWhole(at, whole)) sets.set(set.name, set);
  return { sets };
}

/** The members of one set, a list's too; undefined when there is no such set. */
export async function readMembers(at: Namespace, name: string): Promise<SetMembers | undefined> {
  const listed = await at.run("ipset", ["list", name], { timeoutMs: MEMBERS_TIMEOUT_MS });
  if (listed.code !== 0 && /does not exist/.test(listed.stderr)) return undefined;
  if (listed.code !== 0) throw unreadable(at, listed);
  return parseList(listed.stdout)[0]?.members;
}

async function readWhole(at: Namespace, names: readonly string[]): Promise<SetSnapshot[]> {
  if (names.length === 0) return [];
  const input = names.map((name) => `list ${name}\n`).join("");
  const listed = await at.run("ipset", ["-"], { input, timeoutMs: MEMBERS_TIMEOUT_MS });
  // a set that went since its header was read: the same `ipset -` lists nothing true after an error
  if (listed.code !== 0 || listed.stderr.trim() !== "") throw unreadable(at, listed);
  return parseList(listed.stdout);
}

function unreadable(at: Namespace, { stderr, code, timedOut }: RunResult): SluiceError {
  const why = timedOut ? "it took too long" : stderr.trim() || `exit code ${code}`;
  return new SluiceError("UNAVAILABLE", `sets in ${at.name} can't be read: ${why}`);
}
