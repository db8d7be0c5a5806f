/**
 * Names of tc objects, in the one spelling that everything here compares.
 *
 * Handles and class ids are hexadecimal `major:minor`: `1:0`, `1:` and `0001:` are the same qdisc.
 *
 * A u32 handle is `table:bucket:node`. The table that a prio starts with is numbered by the kernel in the order of
 * creation, never the same number twice (800, 801, after a delete 802 …), so it can't be fixed by anyone: every table
 * from 800 on is written as the prio's own, with no number (`::1`). Tables below 800 are the policy's and keep theirs.
 */
const FIRST_OWN_TABLE = 0x800;

/** `1:0` → `1:`, `0x1:0010` → `1:10`; what isn't an id (`root`) stays as it is. */
export function canonicalId(id: string): string {
  const match = /^(?:0x)?([0-9a-f]{0,4}):(?:0x)?([0-9a-f]{0,4})$/i.exec(id);
  if (match === null) return id;
  const major = Number.parseInt(match[1] || "0", 16).toString(16);
  const minor = Number.parseInt(match[2] || "0", 16);
  return minor === 0 ? `${major}:` : `${major}:${minor.toString(16)}`;
}

/** The qdisc that a class, or a filter's parent, belongs to: `1:10` → `1:`. */
export function qdiscOf(id: string): string {
  return `${canonicalId(id).split(":")[0]}:`;
}

/** A filter's handle as policies write it and as tc prints it, in one spelling: `80` → `0x50`, `800::1` → `::1`. */
export function canonicalFilterHandle(kind: string, handle: string): string {
  if (kind === "u32") return canonicalU32Handle(handle);
  const [value = "", mask] = handle.split("/");
  const number = hexOf(value);
  return mask === undefined ? number : `${number}/${hexOf(mask)}`;
}

/** Is this u32 table the one its prio started with? */
export function isOwnTable(table: string): boolean {
  return table === "" || Number.parseInt(table, 16) === 0 || Number.parseInt(table, 16) >= FIRST_OWN_TABLE;
}

function canonicalU32Handle(handle: string): string {
  const [table = "", bucket = "", node = ""] = handle.replaceAll("0x", "").split(":");
  const place = isOwnTable(table) ? "" : Number.parseInt(table, 16).toString(16);
  return `${place}:${shortHex(bucket)}:${shortHex(node)}`.replace(/::$/, ":");
}

function shortHex(digits: string): string {
  const number = Number.parseInt(digits || "0", 16);
  return number === 0 ? "" : number.toString(16);
}

function hexOf(text: string): string {
  const number = Number(text);
  return text !== "" && Number.isInteger(number) ? `0x${number.toString(16)}` : text;
}
