import { CLASS_FIELDS, type ReadShare } from "./class-fields.ts";
import { readFields } from "./reader.ts";

/** A band of a prio has no rate, no number of its own and nothing below: its place in the list is its priority. */
export const readPrioShare: ReadShare<unknown> = (reader, node) => {
  const fields = readFields(reader, node, CLASS_FIELDS);
  return fields && { fields, own: {} };
};
