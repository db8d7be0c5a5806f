import { type ErrorView, errorView } from "@sluice/proto/api/error";
import { formatProblem, messageOf, type Problem, SluiceError } from "@sluice/proto/base/errors";
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
  if (!(thrown instanceof TRPCClientError))
    return { code: "INTERNAL", message: messageOf(thrown), problems: [] };
  if (thrown.cause instanceof SluiceError) return errorViewOf(thrown.cause);
  const data = carried.safeParse(thrown.data);
  if (data.success) return withCure(data.data.sluice);
  return { code: "UNAVAILABLE", message: `control can't be asked: ${thrown.message}`, problems: [] };
}

/** What control leaves to whoever stands before it: which command helps. */
function withCure(view: ErrorView): ErrorView {
  switch (view.code) {
    case "UNAUTHENTICATED":
      return {
        ...view,
        message: "control doesn't know this token",
        cure: "--token, SLUICE_TOKEN or .sluice/context.json say which; an admin makes one with: sluice token create NAME",
      };
    case "FORBIDDEN":
      return { cure: "an admin gives a role with: sluice token create NAME --role operator", ...view };
    case "NOT_FOUND": {
      const cure = lookAround(view.message);
      return cure === undefined ? view : { cure, ...view };
    }
    default:
      return view;
  }
}

function lookAround(message: string): string | undefined {
  const [, noun] = /^there is no (server|policy|plan|rollout|list|token|reader) /.exec(message) ?? [];
  if (noun === "reader") return "sluice feed ls shows what there is";
  if (noun !== undefined) return `sluice ${noun} ls shows what there is`;
  return message.includes("revision") ? "sluice policy history NAME shows what there is" : undefined;
}

/** Says what went wrong, where, and what to do; returns the exit code. */
export function reportFailure(terminal: Terminal, thrown: unknown): ExitCode {
  const view = errorViewOf(thrown);
  terminal.status("");
  const [only, ...more] = view.problems as Problem[];
  if (only !== undefined && more.length === 0 && only.place === undefined) {
    terminal.err(
      `sluice: ${view.message}${view.message.includes(only.message) ? "" : `: ${formatProblem(only)}`}`,
    );
  } else {
    for (const problem of view.problems) terminal.err(formatProblem(problem as Problem));
    terminal.err(`sluice: ${view.message}`);
  }
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
