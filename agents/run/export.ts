import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { z } from "zod";
import { readOr } from "../state/record-file.ts";
import { issue, issueOf } from "../state/schemas.ts";
import type { StateFolder } from "../state/state-folder.ts";

/**
 * What the server is to hold, in the bare tools' own words: to read, and to apply with nothing of ours at hand. Taken from
 * the folder that a boot is filled from, so it needs no kernel, no agent and nobody else.
 */
export const exported = z.strictObject({
  server: z.string(),
  holds: issue,
  /** for `ipset -exist restore` */
  sets: z.string(),
  /** for `TOOL --noflush`, each */
  tables: z.array(z.strictObject({ tool: z.string(), text: z.string() })),
  /** a command each, that does nothing where the jump is there */
  jumps: z.array(z.string()),
  /** for `tc -batch -`, on a bare device */
  devices: z.array(z.strictObject({ device: z.string(), ifb: z.string().optional(), text: z.string() })),
});
export type Exported = z.infer<typeof exported>;

export async function exportHeld(state: StateFolder): Promise<Exported> {
  const ignore = () => undefined;
  const [identity, applied] = [await readOr(state.identity, ignore), await readOr(state.applied, ignore)];
  const sets = await readLines(state, "sets.create");
  if (applied === undefined || sets === undefined)
    throw new SluiceError("REFUSED", "nothing is held here yet, so there is nothing to export");
  const rest = async (name: string) => (await readLines(state, name)) ?? [];
  const text = async (name: string) => `${(await rest(name)).join("\n")}\n`;
  const entries = entriesOf(await rest("sets.restore"));
  const tables = (await rest("tables")).map((line) => line.split(" "));
  const devices = (await rest("devices")).map((line) => line.split(" "));
  return {
    server: identity?.server ?? "(not enrolled)",
    holds: issueOf(applied),
    sets: sets.map((line) => setText(line, entries)).join(""),
    tables: await Promise.all(
      tables.map(async ([tool = "", file = ""]) => ({ tool, text: await text(file) })),
    ),
    jumps: (await rest("hooks.keep")).map(jumpText),
    devices: await Promise.all(
      devices.map(async ([device = "", ifb]) => ({
        device,
        ...(ifb === undefined ? {} : { ifb }),
        text: await text(`tc.${device}`),
      })),
    ),
  };
}

/** A shell script that may be run again. */
export function exportText({ server, holds, sets, tables, jumps, devices }: Exported): string {
  return [
    "#!/bin/sh",
    `# What ${server} is to hold: generation ${holds.generation} of epoch ${holds.epoch}.`,
    "# Members of live lists aren't in it. May be run again.",
    ...(sets === "" ? [] : ["", fed("ipset -exist restore", sets)]),
    ...tables.flatMap(({ tool, text }) => ["", fed(`${tool} --noflush -w 5`, text)]),
    ...(jumps.length === 0 ? [] : ["", ...jumps]),
    ...devices.flatMap(({ device, ifb, text }) => ["", ...bare(device, ifb), fed("tc -batch -", text)]),
  ].join("\n");
}

function bare(device: string, ifb: string | undefined): string[] {
  const gone = (name: string, at: string) => `tc qdisc del dev ${name} ${at} 2>/dev/null`;
  if (ifb === undefined) return [gone(device, "root")];
  const stands = `ip link add ${ifb} type ifb 2>/dev/null; ip link set ${ifb} up`;
  return [gone(device, "root"), gone(device, "ingress"), stands, gone(ifb, "root")];
}

function fed(command: string, text: string): string {
  return `${command} <<'END'\n${text.trimEnd()}\nEND`;
}

function setText(created: string, entries: ReadonlyMap<string, readonly string[]>): string {
  const [name = ""] = created.split(" ");
  const lines = [`create ${created}`];
  const held = entries.get(name);
  if (held !== undefined) lines.push(`flush ${name}`, ...held.map((entry) => `add ${name} ${entry}`));
  return lines.map((line) => `${line}\n`).join("");
}

/** The folder fills a set aside and swaps it in. */
function entriesOf(lines: readonly string[]): Map<string, string[]> {
  const entries = new Map<string, string[]>();
  let aside: string[] = [];
  for (const line of lines) {
    const [verb, , ...words] = line.split(" ");
    if (verb === "add") aside.push(words.join(" "));
    if (verb !== "swap") continue;
    entries.set(words.join(" "), aside);
    aside = [];
  }
  return entries;
}

function jumpText(line: string): string {
  const [command, table, hook, chain, at, other] = line.split(" ");
  const to = (verb: string) => `${command} -w 5 -t ${table} ${verb} -j ${chain}`;
  const jump = (place: string) =>
    `${to(`-C ${place}`)} 2>/dev/null || ${to(at === "head" ? `-I ${place} 1` : `-A ${place}`)}`;
  if (other === undefined) return jump(hook ?? "");
  // another tool's chain, where it stands
  const stands = `${command} -w 5 -t ${table} -n -L ${hook} >/dev/null 2>&1`;
  return `if ${stands}; then at=${hook}; else at=${other}; fi; ${jump("$at")}`;
}

async function readLines(state: StateFolder, name: string): Promise<string[] | undefined> {
  const text = await readFile(join(state.held, name), "utf8").catch(() => undefined);
  return text?.split("\n").filter((line) => line !== "");
}
