import { FAMILIES, type Family, listSet, policySet } from "@sluice/proto/base/names";
import type { Facts } from "@sluice/proto/manifest/facts";
import type { ManifestSet } from "@sluice/proto/manifest/manifest";
import type { PolicyDocument, PolicySetDocument } from "@sluice/proto/policy/document";
import { listed, type Reporter, type Spot } from "./findings.ts";
import { type CompileInput, compareText } from "./input.ts";
import type { NamedSet } from "./rule.ts";
import { parseEntry, type SetShape, shapeOf } from "./set-entries.ts";

/**
 * A policy's sets as kernel sets.
 *
 * 1. A type with a family becomes two sets, IPv4 and IPv6, even where one is empty, so that a rule of either family can
 *    name it; an explicit `family` makes one. bitmap and list types have no family, but a bitmap of addresses is IPv4.
 * 2. Entries are as the kernel will hold them, sorted and distinct: equal contents have equal text.
 * 3. `maxelem` is said: twice the entries, a power of two, at least 65,536.
 * 4. All sets of a policy together have a limit: a few short lines could stand for more than anything here could hold.
 */
const MAXELEM_LEAST = 65_536;
const MEMBERS_MAX = 262_144;
const TIMEOUT_MAX_S = 2_147_483;
const FAMILY_WORDS: Readonly<Record<string, Family>> = { inet: 4, ipv4: 4, inet6: 6, ipv6: 6 };

/** How many more members the policy's sets may have. */
interface Room {
  members: number;
}

/** What the rules of a policy may name: its sets, the live lists (`list:NAME`), external sets. */
export function createSetScope(document: PolicyDocument, lists: CompileInput["lists"]) {
  const named = new Map<string, NamedSet>();
  for (const { name } of document.external.sets)
    named.set(name, { kernelName: () => name, families: FAMILIES, writable: true });
  for (const [list, { families }] of Object.entries(lists))
    named.set(`list:${list}`, { kernelName: (family) => listSet(list, family), families, writable: false });
  for (const { name, type, options } of document.sets) {
    const { hasFamily } = shapeOf(type, options);
    const explicit = explicitFamily(options);
    named.set(name, {
      kernelName: (family) => policySet(document.policy, name, type, hasFamily ? family : null),
      families: familiesOf(type, explicit),
      writable: true,
    });
  }
  return {
    findSet: (name: string) => named.get(name),
    knownSets: () => [...named.keys()].sort(compareText),
  };
}

/** Those whose rules can name it. */
function familiesOf(type: string, explicit: Family | undefined): readonly Family[] {
  if (type.startsWith("bitmap:ip")) return [4];
  return explicit === undefined ? FAMILIES : [explicit];
}

export function compileSets(
  document: PolicyDocument,
  findSet: (name: string) => NamedSet | undefined,
  facts: Facts,
  families: readonly Family[],
  report: Reporter,
): ManifestSet[] {
  const room = { members: MEMBERS_MAX };
  return document.sets.flatMap((set) => {
    const at: Spot = { line: set.line, column: set.column, path: `sets.${set.name}` };
    if (!checkSet(set, facts, at, report)) return [];
    if (set.type === "list:set") return [compileListOfSets(set, findSet, families, at, report)];
    return compileSet(set, families, room, at, report);
  });
}

function compileSet(
  set: PolicySetDocument,
  families: readonly Family[],
  room: Room,
  at: Spot,
  report: Reporter,
): ManifestSet[] {
  const shape = shapeOf(set.type, set.options);
  const explicit = explicitFamily(set.options);
  const split = splitEntries(set, shape, explicit, room, report);
  const options = withoutFamily(set.options);
  const wanted: (Family | null)[] = !shape.hasFamily
    ? [null]
    : families.filter((family) => explicit === undefined || explicit === family);
  if (wanted.length === 0) report.warn(at, `the set ${set.name} is left out: this server has no IPv6`);
  return wanted.map((family) => {
    const entries = [...(split.get(family) ?? [])].sort(compareText);
    return {
      name: policySet(report.policy, set.name, set.type, family),
      type: set.type,
      family,
      options: set.type.startsWith("hash:") ? withMaxelem(set, options, entries.length, at, report) : options,
      entries,
      origin: report.origin(at),
    };
  });
}

/** The members by family; one that is written twice with different options has no single meaning. */
function splitEntries(
  set: PolicySetDocument,
  shape: SetShape,
  explicit: Family | undefined,
  room: Room,
  report: Reporter,
): Map<Family | null, Set<string>> {
  const split = new Map<Family | null, Set<string>>();
  const optionsOf = new Map<string, string>();
  for (const [index, { text, line, column }] of set.entries.entries()) {
    const at: Spot = { line, column, path: `sets.${set.name}.entries[${index}]` };
    const parsed = parseEntry(text, shape);
    if (!parsed.ok) {
      report.problem(at, `${set.type} ${parsed.reason}`, { found: text });
      continue;
    }
    room.members -= parsed.elements.length;
    if (room.members < 0) {
      report.problem(at, `the sets of this policy have more than ${MEMBERS_MAX} members`, {
        found: text,
        expected: "hash:net, which holds networks; or a list",
      });
      break;
    }
    if (explicit !== undefined && parsed.family !== null && parsed.family !== explicit) {
      report.problem(at, `the set ${set.name} is IPv${explicit} only`, { found: text });
      continue;
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    if (/[\u0000-\u001f\u007f]/.test(parsed.options))
      report.problem(at, "an entry holds a control character");
    const members = split.get(parsed.family) ?? new Set<string>();
    split.set(parsed.family, members);
    for (const element of parsed.elements) {
      const before = optionsOf.get(element);
      if (before !== undefined && before !== parsed.options)
        report.problem(at, `${element} is in the set ${set.name} twice, with different options`, {
          found: text,
        });
      optionsOf.set(element, parsed.options);
      members.add(parsed.options === "" ? element : `${element} ${parsed.options}`);
    }
  }
  return split;
}

/** The members are sets by the names that rules use, too: of the policy's own, `list:NAME`, external ones. */
function compileListOfSets(
  set: PolicySetDocument,
  findSet: (name: string) => NamedSet | undefined,
  families: readonly Family[],
  at: Spot,
  report: Reporter,
): ManifestSet {
  const entries = set.entries.flatMap(({ text, line, column }, index) => {
    const [name = "", ...options] = text.trim().split(/\s+/);
    const spot: Spot = { line, column, path: `${at.path}.entries[${index}]` };
    const member = findSet(name);
    if (member === undefined || name === set.name) {
      report.problem(spot, `there is no set ${name} to be in ${set.name}`, { found: text });
      return [];
    }
    if (options.includes("before") || options.includes("after"))
      report.problem(spot, "the sets in a list:set have no order here", { found: text });
    const present = member.families.filter((family) => families.includes(family));
    return present.map((family) => [member.kernelName(family), ...options].join(" "));
  });
  const distinct = [...new Set(entries)].sort(compareText);
  const options = set.options.includes("size")
    ? set.options
    : [...set.options, "size", String(Math.max(8, distinct.length))];
  const name = policySet(report.policy, set.name, set.type, null);
  return {
    name,
    type: set.type,
    family: null,
    options: [...options],
    entries: distinct,
    origin: report.origin(at),
  };
}

function checkSet(
  { type, name, options }: PolicySetDocument,
  facts: Facts,
  at: Spot,
  report: Reporter,
): boolean {
  const { setTypes } = facts.capabilities;
  const before = setTypes.includes(type);
  if (!before)
    report.problem(at, `this kernel has no set type ${type}`, {
      found: type,
      expected: listed([...setTypes].sort(compareText), "none: it has no ipset"),
    });
  const bad = options.find((word) => !/^[A-Za-z0-9._:/-]+$/.test(word));
  if (bad !== undefined)
    report.problem(at, `ipset can't take this option of ${name}`, { found: JSON.stringify(bad) });
  const timeout = options.indexOf("timeout");
  if (timeout >= 0 && !(Number(options[timeout + 1]) <= TIMEOUT_MAX_S))
    report.problem(at, `the timeout of ${name} is more than ipset can count`, {
      found: options[timeout + 1] ?? "nothing",
      expected: `at most ${TIMEOUT_MAX_S} seconds`,
    });
  const family = options.indexOf("family");
  if (family >= 0 && explicitFamily(options) === undefined)
    report.problem(at, `the family of ${name} is unknown`, {
      found: options[family + 1] ?? "nothing",
      expected: "inet or inet6",
    });
  return before;
}

function withMaxelem(
  set: PolicySetDocument,
  options: readonly string[],
  count: number,
  at: Spot,
  report: Reporter,
): string[] {
  const said = options.indexOf("maxelem");
  if (said < 0)
    return [
      ...options,
      "maxelem",
      String(Math.max(MAXELEM_LEAST, 2 ** Math.ceil(Math.log2(2 * count || 1)))),
    ];
  if (Number(options[said + 1]) < count)
    report.problem(at, `the set ${set.name} has ${count} entries, more than its maxelem`, {
      found: options[said + 1] ?? "nothing",
    });
  return [...options];
}

function explicitFamily(options: readonly string[]): Family | undefined {
  const at = options.indexOf("family");
  return at < 0 ? undefined : FAMILY_WORDS[options[at + 1] ?? ""];
}

function withoutFamily(options: readonly string[]): string[] {
  const at = options.indexOf("family");
  return at < 0 ? [...options] : options.toSpliced(at, 2);
}
