import { CLASS_FIELDS, NUMBERED_FIELDS, partOf, type ReadShare } from "./class-fields.ts";
import type { HtbShare } from "./document.ts";
import { integer, oneOf, optional, rate, size } from "./fields.ts";
import { readFields } from "./reader.ts";

/** what tc takes */
const LINE_MAX_BYTES = 0xffff;
const SHAPE = {
  rate,
  ceil: optional(rate),
  priority: optional(integer(0, 7)),
  mtu: optional(size),
  burst: optional(size),
  cburst: optional(size),
  quantum: optional(size),
  overhead: optional(integer(0, LINE_MAX_BYTES)),
  mpu: optional(integer(0, LINE_MAX_BYTES)),
  linklayer: optional(oneOf(["ethernet", "atm"])),
  ...CLASS_FIELDS,
  ...NUMBERED_FIELDS,
} as const;

export const readHtbShare: ReadShare<HtbShare> = (reader, node, name) => {
  const fields = readFields(reader, node, SHAPE);
  if (fields === undefined) return undefined;
  const ceil = fields.ceil ?? fields.rate;
  if (ceil < fields.rate)
    reader.problem(partOf(node, "ceil") ?? node, `the ceil of ${name} is below its rate`, {
      found: `${ceil}bit`,
      expected: `at least ${fields.rate}bit`,
    });
  const own: HtbShare = {
    rateBitPerSec: fields.rate,
    ceilBitPerSec: ceil,
    priority: fields.priority,
    mtuBytes: fields.mtu,
    burstBytes: fields.burst,
    cburstBytes: fields.cburst,
    quantumBytes: fields.quantum,
    overheadBytes: fields.overhead,
    mpuBytes: fields.mpu,
    linklayer: fields.linklayer,
  };
  return { fields, own };
};
