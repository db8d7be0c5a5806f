import type { Facts } from "@sluice/proto/manifest/facts";
import type { TcFilter } from "@sluice/proto/manifest/manifest";
import type { ClassFilter } from "@sluice/proto/policy/document";
import { listed, type Reporter, type Spot } from "./findings.ts";
import type { Lead } from "./tree.ts";

/**
 * The filters that classes have in tc's own words, beside those that their matches made. Each stands on the qdisc of its
 * class. A prio holds one kind and one protocol, and a handle one filter: the kernel would refuse the second.
 */
export function classFilters(
  leads: readonly Lead[],
  made: readonly TcFilter[],
  { capabilities }: Facts,
  report: Reporter,
): TcFilter[] {
  const filters: TcFilter[] = [...made];
  const all = leads.flatMap(({ shaped, way, at }) =>
    shaped.filters.map((said, index) => ({
      said,
      at: { line: said.line, column: said.column, path: `${at.path}.filters[${index}]` },
      ...way.at(-1),
    })),
  );
  // numbers that are asked for are taken before any is given out
  for (const { said, at, qdisc = "", classid = "" } of [
    ...all.filter((one) => one.said.handle !== undefined),
    ...all.filter((one) => one.said.handle === undefined),
  ]) {
    if (!capabilities.filters.includes(said.kind))
      report.problem(at, `this kernel has no ${said.kind} filter`, {
        found: said.kind,
        expected: listed([...capabilities.filters].sort(), "none: it has no filters"),
      });
    const bad = said.args.find((word) => !/^[A-Za-z0-9._:/%+,-]+$/.test(word));
    if (bad !== undefined)
      report.problem(at, "tc can't take this as a filter's word", { found: JSON.stringify(bad) });
    const inPlace = filters.filter(({ parent, prio }) => parent === qdisc && prio === said.prio);
    const handle = said.handle ?? freeHandle(said.kind, inPlace);
    checkPlace(said, handle, inPlace, at, report);
    filters.push({
      parent: qdisc,
      protocol: said.protocol,
      prio: said.prio,
      handle,
      kind: said.kind,
      args: [...said.args, TO_CLASS[said.kind], classid],
      origin: report.origin(at),
    });
  }
  return filters.slice(made.length);
}

const TO_CLASS: Readonly<Record<ClassFilter["kind"], string>> = {
  fw: "flowid",
  u32: "flowid",
  flower: "classid",
  matchall: "classid",
};

function checkPlace(
  { text, kind, protocol, prio }: ClassFilter,
  handle: string,
  inPlace: readonly TcFilter[],
  at: Spot,
  report: Reporter,
): void {
  const [other] = inPlace;
  if (other !== undefined && (other.kind !== kind || other.protocol !== protocol))
    report.problem(at, `prio ${prio} holds ${other.kind} filters of protocol ${other.protocol} here`, {
      found: text,
      expected: "a prio of its own for each kind and protocol",
    });
  else if (inPlace.some((one) => numberOf(one.handle) === numberOf(handle)))
    report.problem(at, `prio ${prio} has a filter of handle ${handle} already`, {
      found: text,
      expected: "a handle of its own for each filter",
    });
}

function freeHandle(kind: ClassFilter["kind"], inPlace: readonly TcFilter[]): string {
  const taken = new Set(inPlace.map(({ handle }) => numberOf(handle)));
  let number = 1;
  const made = () => (kind === "u32" ? `800::${number.toString(16)}` : String(number));
  while (taken.has(numberOf(made()))) number += 1;
  return made();
}

/** `80` and `0x50` are one mark, `800::1` and `::1` one place. */
function numberOf(handle: string): string {
  return handle
    .replace(/^(800)?::/, "0x")
    .split("/")
    .map(Number)
    .join("/");
}
