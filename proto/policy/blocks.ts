import type { PolicyDocument } from "./document.ts";
import { matching, oneOf, withDefault } from "./fields.ts";
import { type Reader, readFields, readList, readValue } from "./reader.ts";
import { positionOf, type SourceNode } from "./source-node.ts";

type Block = PolicyDocument["blocks"][number];

const EXPECTED = "a list's name, or { list: NAME, direction: in | out | both }";
const listName = matching("a live list's name", /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const direction = withDefault(oneOf(["in", "out", "both"]), "both");

/** `blocks`: live lists whose addresses are dropped, early. Whether a list exists, only control knows. */
export function readBlocks(reader: Reader, node: SourceNode | undefined): Block[] {
  const blocks = new Map<string, Block>();
  for (const item of (node && readList(reader, node, "a list of live lists"))?.items ?? []) {
    const said =
      item.kind === "map"
        ? readFields(reader, item, { list: listName, direction })
        : { list: readValue(reader, item, { ...listName, expected: EXPECTED }), direction: "both" as const };
    if (said?.list === undefined) continue;
    const before = blocks.get(said.list);
    if (before !== undefined)
      reader.problem(item, `the list ${said.list} is blocked twice`, {
        found: `the first in line ${before.line}`,
        expected: "each list once",
      });
    blocks.set(said.list, { list: said.list, direction: said.direction, ...positionOf(item) });
  }
  return [...blocks.values()];
}
