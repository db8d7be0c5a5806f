import { CLASS_FIELDS, NUMBERED_FIELDS, type ReadShare } from "./class-fields.ts";
import type { HfscCurve } from "./document.ts";
import { duration, rate, rateOrNone } from "./fields.ts";
import { type Reader, readFields, readValue } from "./reader.ts";
import type { SourceNode } from "./source-node.ts";

const SHAPE = {
  rate: "nested",
  realtime: "nested",
  share: "nested",
  ceil: "nested",
  ...CLASS_FIELDS,
  ...NUMBERED_FIELDS,
} as const;

/** `rate` is both curves at once; either of them may be given alone. */
const CURVES = { rate: "sc", realtime: "rt", share: "ls", ceil: "ul" } as const;

export const readHfscShare: ReadShare<{ curves: HfscCurve[] }> = (reader, node, name) => {
  const fields = readFields(reader, node, SHAPE);
  if (fields === undefined) return undefined;
  const said = (["rate", "realtime", "share", "ceil"] as const).filter((field) => fields[field]);
  const isTwice = said.includes("rate") && (said.includes("realtime") || said.includes("share"));
  const hasCurve = said.some((field) => field !== "ceil");
  const isLimitAlone = said.includes("ceil") && !said.includes("rate") && !said.includes("share");
  if (!hasCurve || isTwice || isLimitAlone)
    reader.problem(node, `${name} needs a rate, or its parts by themselves`, {
      found: said.join(" and ") || "nothing",
      expected: "rate, or realtime, share or both; ceil only with rate or share",
    });
  const curves = said.flatMap((field) => {
    const value = fields[field];
    return (value && readCurve(reader, value, CURVES[field])) ?? [];
  });
  return { fields, own: { curves } };
};

const CURVE = {
  first: rateOrNone,
  for: duration("a time from 1ms to 60s, such as 10ms", 1, 60_000),
  after: rate,
};

/** `1mbit`, or `{ first: 4mbit, for: 10ms, after: 1mbit }`. */
function readCurve(reader: Reader, node: SourceNode, curve: HfscCurve["curve"]): HfscCurve | undefined {
  if (node.kind !== "map") {
    const rateBitPerSec = readValue(reader, node, rate);
    return rateBitPerSec === undefined ? undefined : { curve, rateBitPerSec };
  }
  const fields = readFields(reader, node, CURVE);
  return (
    fields && {
      curve,
      first: { rateBitPerSec: fields.first, forMs: fields.for },
      rateBitPerSec: fields.after,
    }
  );
}
