import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { FAMILIES, type Family, SET_PREFIX } from "@sluice/proto/base/names";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import type { Present } from "@sluice/proto/wire/present";
import type { Target } from "../drivers/driver.ts";
import { parseList } from "../drivers/ipset/parse.ts";
import type { SetSnapshot } from "../drivers/ipset/snapshot.ts";
import { type IptablesBackend, iptablesTool } from "../drivers/iptables/tools.ts";
import { configuredRoot } from "../drivers/tc/foreign.ts";
import { INGRESS_HANDLE, type QdiscState, type TcSnapshot } from "../drivers/tc/snapshot.ts";
import type { Namespace } from "../exec/namespace.ts";
import { keepTrue, type LiveRules, readLiveRules } from "../explain/live-rules.ts";
import { type DistrustParts, distrustQdisc } from "../takeover/distrust.ts";
import { standingTree } from "../takeover/find.ts";
import { NOTHING } from "../undo/render-held.ts";

/**
 * What stands on this server and isn't ours. Reads only; of what iptables-save prints, the tables that a copy proves to be
 * so.
 */
export interface PresentParts {
  live: Namespace;
  backend: IptablesBackend;
  /** names of devices */
  devices: readonly string[];
  /** where a qdisc's text is tried */
  trial: DistrustParts;
}

const ENTRIES_MAX = 5_000;
/** A message of NATS holds 1 MiB. */
const BYTES_MAX = 900_000;

export async function readPresent(parts: PresentParts, held: Target | undefined): Promise<Present> {
  const { stdout } = await parts.live.run("ipset", ["list", "-t"]);
  const sets = parseList(stdout);
  const read = await Promise.all(FAMILIES.map((family) => trueRules(parts, family, sets)));
  const foreign = sets.filter(({ name }) => !name.startsWith(SET_PREFIX));
  const found: Present = {
    rules: read.map(({ family, lines }) => ({ family, lines })),
    sets: await Promise.all(foreign.map((set) => withEntries(parts.live, set))),
    qdiscs: (await sideBySide(parts.devices, 4, (device) => foreignQdiscs(parts, device, held))).flat(),
    untold: [...new Set(read.flatMap(({ notCopied }) => notCopied))],
  };
  if (Buffer.byteLength(JSON.stringify(found)) > BYTES_MAX)
    throw new SluiceError("REFUSED", `what stands here is more than ${BYTES_MAX} bytes of text`);
  return found;
}

async function trueRules(
  { live, backend }: PresentParts,
  family: Family,
  sets: readonly SetSnapshot[],
): Promise<LiveRules & { family: Family }> {
  const rules = await readLiveRules(live, backend, family);
  if (backend === "legacy") return { family, ...rules };
  try {
    const load = (at: Namespace, lines: readonly string[]) => restore(at, backend, family, sets, lines);
    return { family, ...(await keepTrue(live, family, rules, load)) };
  } catch (error) {
    const why = `the rules of IPv${family}: a copy was refused (${messageOf(error)})`;
    return { family, lines: [], notCopied: [...rules.notCopied, why] };
  }
}

async function restore(
  at: Namespace,
  backend: IptablesBackend,
  family: Family,
  sets: readonly SetSnapshot[],
  lines: readonly string[],
): Promise<void> {
  await feed(at, "ipset", sets.map(createLine), ["restore"]);
  await feed(at, iptablesTool(backend, family, "restore"), lines, []);
}

async function feed(at: Namespace, tool: string, lines: readonly string[], args: readonly string[]) {
  if (lines.length === 0) return;
  const { code, stderr } = await at.run(tool, args, { input: `${lines.join("\n")}\n` });
  if (code !== 0) throw new Error(`${tool}: ${stderr.trim()}`);
}

function createLine({ name, type, family, options }: SetSnapshot): string {
  const inFamily = family === null ? [] : ["family", family === 6 ? "inet6" : "inet"];
  return ["create", name, type, ...inFamily, ...options].join(" ");
}

async function withEntries(live: Namespace, set: SetSnapshot): Promise<Present["sets"][number]> {
  const { name, type, family, options, count } = set;
  const bare = { name, type, family, options: [...options], expiring: false };
  if (count > ENTRIES_MAX) return bare;
  const { stdout } = await live.run("ipset", ["list", name]);
  const members = parseList(stdout)[0]?.members;
  if (members === undefined || members.lasting.length > ENTRIES_MAX) return bare;
  return { ...bare, entries: [...members.lasting].sort(), expiring: members.expiring.length > 0 };
}

type StandingQdisc = Present["qdiscs"][number];

/** What somebody configured on a device: its root with all that hangs on it, and by name what else there is. */
async function foreignQdiscs(
  { live, trial }: PresentParts,
  device: string,
  held: Target | undefined,
): Promise<StandingQdisc[]> {
  const ours = held?.devices.find((one) => one.device === device);
  let snapshot: TcSnapshot;
  try {
    snapshot = await trial.tc.read(live, { ...NOTHING, devices: [{ device }] });
  } catch (error) {
    return [{ device, kind: "unknown", handle: "", untold: messageOf(error) }];
  }
  const root = configuredRoot(snapshot, device);
  const tree = standingTree(snapshot, device);
  const others = snapshot.devices[device]?.qdiscs ?? [];
  const incoming = others.find(({ handle }) => handle === INGRESS_HANDLE);
  const rootless = root === undefined ? others.find(({ handle }) => handle !== INGRESS_HANDLE) : undefined;
  const found: StandingQdisc[] = [];
  if (ours?.egress === undefined && root !== undefined && tree !== undefined) {
    const untold = await distrustQdisc(trial, { device, tree });
    found.push({ ...named(device, root), ...(untold === undefined ? { tree } : { untold }) });
  }
  if (ours?.egress === undefined && rootless !== undefined)
    found.push({ ...named(device, rootless), untold: `its ${rootless.kind} hangs on the kernel's own root` });
  if (ours?.ingress === undefined && incoming !== undefined)
    found.push({ ...named(device, incoming), untold: "what is done with what comes in can't be imported" });
  return found;
}

function named(
  device: string,
  { kind, handle }: QdiscState,
): Pick<StandingQdisc, "device" | "kind" | "handle"> {
  return { device, kind, handle };
}
