import { type Field, flag, optional, parsed, withDefault } from "./fields.ts";
import type { FieldsOf, Reader } from "./reader.ts";
import type { SourceNode } from "./source-node.ts";

/** The fields that classes of every kind of tree have, and those that only numbered ones have. */
const MINOR_MAX = 0xffff;

/** As in tc's `1:10`: hexadecimal digits. */
export const minorField: Field<number> = parsed(
  "a class id's minor number as in tc, 1 to fffe in hexadecimal digits",
  (text) => {
    const minor = /^[0-9a-f]{1,4}$/i.test(text) ? Number.parseInt(text, 16) : 0;
    return minor > 0 && minor < MINOR_MAX ? minor : undefined;
  },
);

/** As in tc's `8001:`, the colon or not. */
export const handleField: Field<number> = parsed(
  "a qdisc's number as in tc, 1 to fffe in hexadecimal digits",
  (text) => minorField.schema.safeParse(text.replace(/:$/, "")).data,
);

const markField: Field<number> = parsed("a mark such as 80 or 0x50", (text) => {
  const mark = /^(0x[0-9a-f]{1,8}|[1-9]\d{0,9})$/i.test(text) ? Number(text) : 0;
  return mark > 0 && mark <= 0xffffffff ? mark : undefined;
});

export const CLASS_FIELDS = {
  mark: optional(markField),
  match: "nested",
  filters: "nested",
  default: withDefault(flag, false),
  leaf: "nested",
} as const;

export const NUMBERED_FIELDS = { id: optional(minorField), classes: "nested" } as const;

type Fields = FieldsOf<typeof CLASS_FIELDS> & Partial<FieldsOf<typeof NUMBERED_FIELDS>>;

/** Reads a class's fields, and makes of them what only its kind of tree has. */
export type ReadShare<Own> = (
  reader: Reader,
  node: SourceNode,
  name: string,
) => { fields: Fields; own: Own } | undefined;

export function partOf(node: SourceNode, field: string): SourceNode | undefined {
  return node.kind === "map" ? node.fields.get(field)?.value : undefined;
}
