import type { YAMLError } from "yaml";
import type { Place, Problem } from "../base/errors.ts";
import { printable, shown } from "./source-node.ts";

const QUOTE_IT =
  "a text that holds `: ` or ` #`, or begins with one of * & ! % @ ` \" ' { [, in single quotes";

/** What YAML found, in the words of someone who writes policies. */
export function yamlProblem(error: YAMLError, place: Place, source: string): Problem {
  const newline = source.indexOf("\n", error.pos[0]);
  const lineEnd = newline < 0 ? source.length : newline;
  const found = shown(source.slice(error.pos[0], lineEnd) || "nothing more");
  if (error.message.includes("call stack"))
    return { message: "nested too deeply", place, expected: "a policy's fields" };
  switch (error.code) {
    case "TAB_AS_INDENT":
      return { message: "a tab can't indent", place, found: "a tab", expected: "spaces" };
    case "MULTIPLE_DOCS":
      return { message: "several documents in one file", place, found, expected: "one policy in a file" };
    case "BAD_ALIAS":
      return { message: "a bare * is an alias in YAML", place, found, expected: `quotes around it: "*"` };
    case "BLOCK_AS_IMPLICIT_KEY":
    case "MULTILINE_IMPLICIT_KEY":
    case "BAD_SCALAR_START":
    case "MISSING_CHAR":
      return { message: `not YAML: ${plain(error.message)}`, place, found, expected: QUOTE_IT };
    default:
      return { message: `not YAML: ${plain(error.message)}`, place, found };
  }
}

function plain(message: string): string {
  const text = `${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  return printable(text.replace('"quote', 'quote "').replace("'quote", "quote '"));
}
