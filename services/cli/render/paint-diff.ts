import type { Terminal } from "../terminal.ts";

/** One line of a unified diff. */
export function paintDiff(paint: Terminal["paint"], line: string): string {
  if (line.startsWith("+")) return paint("green", line);
  if (line.startsWith("-")) return paint("red", line);
  return line.startsWith("@@") ? paint("cyan", line) : line;
}
