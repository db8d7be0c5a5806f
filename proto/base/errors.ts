/**
 * One tree of errors. Expected outcomes are returned as values; what is thrown is one of these,
 * with a code, the reason, and what the user can do.
 */
export type ErrorCode =
  | "INVALID" // the input is wrong: says where
  | "NOT_FOUND"
  | "CONFLICT" // somebody else changed it meanwhile
  | "REFUSED" // understood, and not done: says why
  | "UNAUTHENTICATED"
  | "FORBIDDEN"
  | "UNAVAILABLE" // a neighbour is away: trying again may work
  | "INTERNAL";

/** A place in a policy file. Lines and columns count from 1. */
export interface Place {
  file?: string | undefined;
  line: number;
  column: number;
}

/** One thing wrong with an input: where, what was found, what was expected. */
export interface Problem {
  message: string;
  place?: Place | undefined;
  /** dotted path in the document, such as `firewall.filter.INPUT[2]` */
  path?: string | undefined;
  found?: string | undefined;
  expected?: string | undefined;
}

export class SluiceError extends Error {
  readonly code: ErrorCode;
  readonly cure: string | undefined;
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    message: string,
    more: { cure?: string; problems?: readonly Problem[]; cause?: unknown } = {},
  ) {
    super(message, more.cause === undefined ? undefined : { cause: more.cause });
    this.name = "SluiceError";
    this.code = code;
    this.cure = more.cure;
    this.problems = more.problems ?? [];
  }
}

/** `file:line:column: message (found …, expected …)`, as compilers print it. */
export function formatProblem(problem: Problem): string {
  const { place, path, found, expected } = problem;
  const where = place ? `${place.file ?? "policy"}:${place.line}:${place.column}: ` : "";
  const details = [
    path ? `at ${path}` : "",
    found === undefined ? "" : `found ${found}`,
    expected === undefined ? "" : `expected ${expected}`,
  ].filter((part) => part !== "");
  return `${where}${problem.message}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

/** The text of anything thrown, for a log line or a report. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
