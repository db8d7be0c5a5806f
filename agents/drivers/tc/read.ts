import { ifbDevice } from "@sluice/proto/base/names";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { z } from "zod";
import type { Namespace } from "../../exec/namespace.ts";
import { readNetText } from "../../exec/proc-net.ts";
import type { Target } from "../driver.ts";
import { canonicalId } from "./ids.ts";
import { parseClasses, parseFilters, parseQdiscs, USER_CLASS_KINDS } from "./parse.ts";
import { IFB_PREFIX } from "./sides.ts";
import type {
  ClassState,
  DeviceState,
  FilterGroup,
  FilterState,
  QdiscState,
  TcSnapshot,
} from "./snapshot.ts";
import { ABSENT, INGRESS_HANDLE } from "./snapshot.ts";

/**
 * Reads owned devices, IFBs of ours, and the devices that those belong to. Writes nothing.
 *
 * Filters are asked for parent by parent, each by a command of its own: tc prints them without their parent, and in a
 * batch 6.1 carries arguments of one `show` over into the next.
 */
const linksShape = z.array(z.object({ ifname: z.string(), flags: z.array(z.string()) }));

/** Qdiscs that take no filters. */
const WITHOUT_FILTERS = new Set(["pfifo", "bfifo", "pfifo_head_drop", "tbf", "netem", "codel", "pie", "fq"]);
const PARALLEL = 8;

export async function readTc(at: Namespace, target: Target): Promise<TcSnapshot> {
  if (target.devices.length === 0 && !(await holdsIfbs(at))) return { devices: {} };
  const links = await readLinks(at);
  const names = new Set(
    target.devices.flatMap((one) => [one.device, ...(one.ingress ? [one.ingress.ifb] : [])]),
  );
  for (const name of links.keys()) {
    if (name.startsWith(IFB_PREFIX)) names.add(name);
    else if (links.has(ifbDevice(name))) names.add(name);
  }
  const devices: Record<string, DeviceState> = {};
  for (const name of [...names].sort()) {
    const link = links.get(name);
    devices[name] = link === undefined ? ABSENT : await readDevice(at, name, link.up, target);
  }
  return { devices };
}

/** Devices of ours that nobody wants any more. No process is needed to see that there are none, as on most servers. */
async function holdsIfbs(at: Namespace): Promise<boolean> {
  const devices = await readNetText(at, "dev");
  return devices === "" || devices.split("\n").some((line) => line.trimStart().startsWith(IFB_PREFIX));
}

async function readLinks(at: Namespace): Promise<Map<string, { up: boolean }>> {
  const text = await ask(at, "ip", ["-json", "link", "show"]);
  const links = linksShape.parse(JSON.parse(text.trim() || "[]"));
  return new Map(links.map(({ ifname, flags }) => [ifname, { up: flags.includes("UP") }]));
}

async function readDevice(at: Namespace, device: string, up: boolean, target: Target): Promise<DeviceState> {
  const input = `qdisc show dev ${device}\nclass show dev ${device}\n`;
  const text = await ask(at, "tc", ["-details", "-raw", "-batch", "-"], input);
  const qdiscs = parseQdiscs(text);
  const classes = await readClasses(at, device, qdiscs, parseClasses(text));
  const groups: FilterGroup[] = [];
  const filters: FilterState[] = [];
  const parents = filterParents(qdiscs, classes, wantedParents(target, device));
  for (let first = 0; first < parents.length; first += PARALLEL) {
    const some = parents.slice(first, first + PARALLEL);
    const texts = await Promise.all(some.map((parent) => readFilters(at, device, parent)));
    for (const [index, parent] of some.entries()) {
      const parsed = parseFilters(texts[index] ?? "", parent);
      groups.push(...parsed.groups);
      filters.push(...parsed.filters);
    }
  }
  return { exists: true, up, qdiscs, classes, filters, groups };
}

/** The kernel ends its list of all classes at a netem, and answers 0 (6.1): then they are asked for qdisc by qdisc. */
async function readClasses(
  at: Namespace,
  device: string,
  qdiscs: readonly QdiscState[],
  told: ClassState[],
): Promise<ClassState[]> {
  if (!qdiscs.some(({ kind }) => kind === "netem")) return told;
  const holders = qdiscs.filter(({ kind }) => USER_CLASS_KINDS.includes(kind));
  const texts = await sideBySide(holders, PARALLEL, ({ handle }) =>
    ask(at, "tc", ["-details", "-raw", "class", "show", "dev", device, "parent", handle]),
  );
  return texts.flatMap(parseClasses);
}

/** Everything that filters can hang on: qdiscs, inner classes, and where the target wants some. */
function filterParents(
  qdiscs: readonly QdiscState[],
  classes: readonly ClassState[],
  wanted: readonly string[],
): string[] {
  const standing = new Set([...qdiscs.map((one) => one.handle), ...classes.map((one) => one.classid)]);
  const inner = classes.map((one) => one.parent).filter((parent) => !parent.endsWith(":"));
  const holders = qdiscs.filter((one) => !WITHOUT_FILTERS.has(one.kind)).map((one) => one.handle);
  return [...new Set([...holders, ...inner, ...wanted.filter((parent) => standing.has(parent))])];
}

function wantedParents(target: Target, device: string): string[] {
  const trees = target.devices.flatMap((one) => [
    ...(one.device === device && one.egress ? [one.egress] : []),
    ...(one.ingress?.ifb === device ? [one.ingress.tree] : []),
  ]);
  return trees.flatMap((tree) => tree.filters.map((filter) => canonicalId(filter.parent)));
}

function readFilters(at: Namespace, device: string, parent: string): Promise<string> {
  const place = parent === INGRESS_HANDLE ? ["ingress"] : ["parent", parent];
  return ask(at, "tc", ["filter", "show", "dev", device, ...place]);
}

async function ask(at: Namespace, command: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr, timedOut } = await at.run(command, args, { input, timeoutMs: 10_000 });
  if (code === 0) return stdout;
  const reason = timedOut ? "no answer in 10 s" : stderr.trim() || `exit code ${code}`;
  throw new Error(`${command} ${args.join(" ")} in ${at.name}: ${reason}`);
}
