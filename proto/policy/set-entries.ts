import type { Family } from "../base/names.ts";
import { parseRange } from "./addresses.ts";
import type { PolicySetDocument } from "./document.ts";
import { type Reader, readList } from "./reader.ts";
import { checkEntry } from "./set-entry.ts";
import { type Limits, portLimits } from "./set-options.ts";
import { SET_TYPES } from "./set-types.ts";
import { type MapNode, positionOf } from "./source-node.ts";
import { checkVariables, possibleTexts, type Variables } from "./vars.ts";

/** `entries`: each is checked, with every value that its variables can have. They stay as they are written. */
export function readEntries(
  reader: Reader,
  node: MapNode,
  type: string,
  limits: Limits | undefined,
  vars: Variables,
): PolicySetDocument["entries"] {
  const value = node.fields.get("entries")?.value;
  const list = value && readList(reader, value, "a list of entries");
  const parts = SET_TYPES.get(type)?.parts ?? [];
  const options = givenOptions(node);
  const only: Family | undefined =
    options.get("family") === "ipv4" ? 4 : options.has("family") ? 6 : undefined;
  const entries: PolicySetDocument["entries"] = [];
  for (const item of list?.items ?? []) {
    if (item.kind !== "text") {
      reader.problem(item, "this isn't an entry", { expected: `an entry of ${type}` });
      continue;
    }
    if (!checkVariables(reader, item, vars)) continue;
    for (const text of possibleTexts(item.text, vars)) {
      const checked = checkEntry(text, type, parts, options);
      const isWritten = text === item.text;
      if (!checked.ok) {
        const { message, expected, at } = checked;
        reader.problem(item, message, {
          place: isWritten ? item.placeAt(at) : item.place,
          found: text,
          expected,
        });
      } else if (only !== undefined && checked.family !== undefined && checked.family !== only)
        reader.problem(item, `this set holds IPv${only} alone`, {
          found: text,
          expected: `an IPv${only} entry`,
        });
      else if (limits !== undefined && !isWithin(checked.words[0] ?? "", limits, parts[0] === "port"))
        reader.problem(item, "this is outside the set's range", {
          found: text,
          expected: "an entry within range",
        });
    }
    entries.push({ text: item.text.trim(), ...positionOf(item) });
  }
  return entries;
}

/** As they are written, whatever is wrong with others of them. */
function givenOptions(node: MapNode): Map<string, string> {
  const given = [...node.fields].map(
    ([name, { value }]) => [name, value.kind === "text" ? value.text : ""] as const,
  );
  return new Map(given.filter(([, text]) => text !== "false"));
}

function isWithin(element: string, limits: Limits, isPort: boolean): boolean {
  const [first = ""] = element.split(",");
  const found = isPort ? portLimits(portRange(first)) : parseRange(first);
  return found !== undefined && found.first >= limits.first && found.last <= limits.last;
}

/** `80` and `tcp:80` as a range; a bitmap holds no protocol. */
function portRange(element: string): string {
  const ports = element.replace(/^[a-z0-9-]*:/i, "");
  return ports.includes("-") ? ports : `${ports}-${ports}`;
}
