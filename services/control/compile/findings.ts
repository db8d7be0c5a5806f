import type { Problem } from "@sluice/proto/base/errors";
import type { Origin } from "@sluice/proto/manifest/manifest";
import type { Position } from "@sluice/proto/policy/document";

/** Where in its policy something stands. */
export interface Spot extends Position {
  /** dotted path in the policy, such as `guards.ssh.limits[3]` */
  path: string;
}

/** For what the whole policy says. */
export const TOP: Position = { line: 1, column: 1 };

/** What compile found wrong or worth saying, in the order it came across it. */
export interface Findings {
  readonly problems: Problem[];
  readonly warnings: string[];
}

/** One policy's pen: everything it writes carries the policy's name. */
export interface Reporter {
  readonly policy: string;
  readonly revision: number;
  problem(at: Spot, message: string, more?: { found?: string; expected?: string }): void;
  warn(at: { line: number; path?: string }, message: string): void;
  origin(at: Pick<Spot, "line" | "path">): Origin;
}

export function createReporter(findings: Findings, policy: string, revision: number): Reporter {
  return {
    policy,
    revision,
    problem(at, message, more = {}) {
      const place = { file: policy, line: at.line, column: at.column };
      findings.problems.push({ message, place, path: at.path, ...more });
    },
    warn(at, message) {
      findings.warnings.push(`${policy}:${at.line}: ${message}`);
    },
    origin: (at) => ({ policy, revision, line: at.line, path: at.path }),
  };
}

/** `web-edge line 12`, for a message about two policies. */
export function placeOf(origin: Origin): string {
  return origin.line === undefined ? origin.policy : `${origin.policy} line ${origin.line}`;
}

/** `a, b and c`, or what to say where there is none. */
export function listed(names: Iterable<string>, none: string): string {
  const all = [...names];
  return all.length === 0 ? none : all.join(", ");
}
