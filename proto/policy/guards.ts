import type { PolicyGuard, Position } from "./document.ts";
import { flag, integer, oneOf, wholeSeconds, withDefault } from "./fields.ts";
import { type Reader, readFields, readList, readMap } from "./reader.ts";
import { type MapNode, positionOf, type SourceNode, shown } from "./source-node.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

/** The newest kernels' recent counts to 65,535, and the guard asks it for one more than it allows. */
export const GUARD_HITS_MAX = 65_534;
/** multiport's own limit; a range takes two places */
const PORTS_MAX = 15;
const DAY_MS = 86_400_000;
const PORT = "a port, or a range such as 8000-8080";

const time = wholeSeconds("whole seconds from 1s to 30d, such as 20s or 10m", 1000, 30 * DAY_MS);
const DEFAULT_BAN = { forMs: 600_000, renew: true };

/** `guards`: how often an address may knock at a port within a time, and how long it is banned after that. */
export function readGuards(reader: Reader, node: SourceNode | undefined, vars: Variables): PolicyGuard[] {
  const guards: PolicyGuard[] = [];
  for (const [name, { key, value }] of (node && readMap(reader, node, "a map of guards"))?.fields ?? []) {
    if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(name))
      reader.problem(key, `${shown(name)} can't be a guard's name`, {
        found: name,
        expected: "1 to 31 small letters, digits and -",
      });
    const guard = readGuard(reader, name, value, vars);
    if (guard !== undefined) guards.push({ ...guard, ...positionOf(key) });
  }
  return guards;
}

function readGuard(
  reader: Reader,
  name: string,
  node: SourceNode,
  vars: Variables,
): Omit<PolicyGuard, keyof Position> | undefined {
  const fields = readFields(reader, node, {
    port: "nested",
    ports: "nested",
    protocol: withDefault(oneOf(["tcp", "udp"]), "tcp"),
    limits: "nested",
    ban: "nested",
  });
  if (node.kind !== "map") return undefined;
  const ports = readPorts(reader, node, vars);
  const limits = readLimits(reader, node);
  const ban = readBan(reader, fields?.ban);
  if (fields === undefined || ports.length === 0 || limits.length === 0 || ban === undefined)
    return undefined;
  return { name, protocol: fields.protocol, ports, limits, ban };
}

function readPorts(reader: Reader, node: MapNode, vars: Variables): string[] {
  const port = node.fields.get("port")?.value;
  const ports = node.fields.get("ports")?.value;
  if ((port === undefined) === (ports === undefined)) {
    const found = port === undefined ? "neither" : "both";
    reader.problem(node, "a guard has either port or ports", {
      found,
      expected: "port: 22, or ports: [22, 2222]",
    });
    return [];
  }
  const items =
    port !== undefined ? [port] : ((ports && readList(reader, ports, "a list of ports"))?.items ?? []);
  const texts = items.flatMap((item) => readPort(reader, item, vars));
  if (ports !== undefined && items.length === 0)
    reader.problem(ports, "a guard without a port", { expected: PORT });
  const places = texts.reduce((sum, text) => sum + (text.includes(":") ? 2 : 1), 0);
  if (places > PORTS_MAX)
    reader.problem(ports ?? node, "too many ports for one guard", {
      found: String(places),
      expected: `at most ${PORTS_MAX}, a range counting as two`,
    });
  return texts;
}

/** As iptables writes it: a range has a colon. */
function readPort(reader: Reader, node: SourceNode, vars: Variables): string[] {
  if (node.kind === "text" && !checkVariables(reader, node, vars)) return [];
  const texts = node.kind === "text" ? possibleTexts(node.text, vars) : [];
  if (node.kind === "text" && texts.every(isPort)) return [node.text.replace(/-(?=\d+$)/, ":")];
  reader.problem(node, "this isn't a port", {
    found: texts.find((text) => !isPort(text)) ?? node.kind,
    expected: PORT,
  });
  return [];
}

function isPort(text: string): boolean {
  const found = /^(\d{1,5})(?:[-:](\d{1,5}))?$/.exec(text);
  const from = Number(found?.[1]);
  const to = Number(found?.[2] ?? found?.[1]);
  return from >= 1 && from <= to && to <= 65_535;
}

function readLimits(reader: Reader, node: MapNode): PolicyGuard["limits"] {
  const value = node.fields.get("limits")?.value;
  const expected = "a list such as [{ hits: 2, within: 20s }]";
  if (value === undefined) reader.problem(node, "limits is missing", { expected: `limits: ${expected}` });
  const list = value && readList(reader, value, expected);
  if (list?.items.length === 0) reader.problem(list, "a guard without a limit", { expected });
  return (list?.items ?? []).flatMap((item) => {
    const fields = readFields(reader, item, { hits: integer(1, GUARD_HITS_MAX), within: time });
    return fields === undefined ? [] : [{ hits: fields.hits, withinMs: fields.within, ...positionOf(item) }];
  });
}

function readBan(reader: Reader, node: SourceNode | undefined): PolicyGuard["ban"] | undefined {
  if (node === undefined) return DEFAULT_BAN;
  const fields = readFields(reader, node, {
    for: withDefault(time, DEFAULT_BAN.forMs),
    renew: withDefault(flag, DEFAULT_BAN.renew),
  });
  return fields && { forMs: fields.for, renew: fields.renew };
}
