import type { Finding } from "@sluice/proto/api/proof";
import type { Terminal } from "../terminal.ts";

/** One a line, the first bad event first: what it looks like, and what is wrong. */
export function findingLines(terminal: Pick<Terminal, "paint">, findings: readonly Finding[]): string[] {
  return findings.map(({ tampering, message }) => `${terminal.paint("red", tampering)}: ${message}`);
}
