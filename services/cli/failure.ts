import { type ErrorView, errorView } from "@sluice/proto/api/error";
import { formatProblem, type Problem, SluiceError } from "@sluice/proto/base/errors";
import { TRPCClientError } from "@trpc/client";
import { z } from "zod";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

const carried = z.object({ sluice: errorView });

/** Anything thrown, as the one shape that `--json` prints under `error`. */
export function errorViewOf(thrown: unknown): ErrorView {
  if (thrown instanceof SluiceError) {
    const { code, message, cure, problems } = thrown;
    return { code, message, ...(cure === undefined ? {} : { cure }), problems: [...problems] };
  }
  if (thrown instanceof TRPCClientError) {
    const data = carried.safeParse(thrown.data);
    if (data.success) return data.data.sluice;
    const cure = "is control running, and is --control (or SLUICE_URL) its address?";
    return {
      code: "UNAVAILABLE",
      message: `control can't be reached: ${thrown.message}`,
      cure,
      problems: [],
    };
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return { code: "INTERNAL", message, problems: [] };
}

/** Says what went wrong, where, and what to do; returns the exit code. */
export function reportFailure(terminal: Terminal, thrown: unknown): ExitCode {
  const view = errorViewOf(thrown);
  terminal.status("");
  for (const problem of view.problems) terminal.err(formatProblem(problem as Problem));
  terminal.err(`sluice: ${view.message}`);
  if (view.cure !== undefined) terminal.err(`  → ${view.cure}`);
  if (terminal.json) terminal.out(JSON.stringify({ error: view }));
  return exitCodeOf(view);
}

function exitCodeOf({ code }: ErrorView): ExitCode {
  switch (code) {
    case "INVALID":
    case "NOT_FOUND":
    case "CONFLICT":
    case "REFUSED":
    case "UNAUTHENTICATED":
    case "FORBIDDEN":
      return EXIT.refused;
    case "UNAVAILABLE":
    case "INTERNAL":
      return EXIT.fault;
  }
}
