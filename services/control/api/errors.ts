import { codeOf, isPassing } from "@sluice/db/faults";
import type { ErrorView } from "@sluice/proto/api/error";
import { type ErrorCode, type Problem, SluiceError } from "@sluice/proto/base/errors";
import { TRPCError } from "@trpc/server";
import { ZodError } from "zod";

/** The one place where our errors become the API's. */
const TRPC_CODE = {
  INVALID: "BAD_REQUEST",
  NOT_FOUND: "NOT_FOUND",
  CONFLICT: "CONFLICT",
  REFUSED: "PRECONDITION_FAILED",
  UNAUTHENTICATED: "UNAUTHORIZED",
  FORBIDDEN: "FORBIDDEN",
  UNAVAILABLE: "SERVICE_UNAVAILABLE",
  INTERNAL: "INTERNAL_SERVER_ERROR",
} as const satisfies Record<ErrorCode, TRPCError["code"]>;

export const HTTP_STATUS: Readonly<Record<ErrorCode, number>> = {
  INVALID: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  REFUSED: 412,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  UNAVAILABLE: 503,
  INTERNAL: 500,
};

/** Postgres on a text or a time that was given: no such character in its encoding, out of its calendar. */
const UNFIT = new Set(["22021", "22P05", "22007", "22008"]);

/** Any failure as one of ours. What nobody foresaw is INTERNAL, without its words: they are for the log. */
export function asSluiceError(thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  if (thrown instanceof ZodError) {
    return new SluiceError("INVALID", "the input is wrong", { problems: thrown.issues.map(problemOf) });
  }
  if (isPassing(thrown)) {
    return new SluiceError("UNAVAILABLE", "the database is away", { cure: "try again", cause: thrown });
  }
  if (UNFIT.has(codeOf(thrown) ?? "")) {
    return new SluiceError("INVALID", "the input holds a character or a time that no database takes", {
      cause: thrown,
    });
  }
  return new SluiceError("INTERNAL", "control failed at this; its log says why", { cause: thrown });
}

export function toTrpcError(error: TRPCError): TRPCError {
  return error.code === "INTERNAL_SERVER_ERROR" ? asTrpcError(error.cause ?? error) : error;
}

/** A failure from outside of any procedure, as when it is found out who asks. */
export function asTrpcError(thrown: unknown): TRPCError {
  const cause = asSluiceError(thrown);
  return new TRPCError({ code: TRPC_CODE[cause.code], message: cause.message, cause });
}

export function errorViewOf(error: TRPCError): ErrorView {
  if (error.cause instanceof SluiceError || error.cause instanceof ZodError) {
    return viewOf(asSluiceError(error.cause));
  }
  const code = Object.entries(TRPC_CODE).find(([, trpc]) => trpc === error.code)?.[0];
  return { code: isErrorCode(code) ? code : "INVALID", message: error.message, problems: [] };
}

export function viewOf({ code, message, cure, problems }: SluiceError): ErrorView {
  return { code, message, ...(cure !== undefined && { cure }), problems: [...problems] };
}

function isErrorCode(code: string | undefined): code is ErrorCode {
  return code !== undefined && Object.hasOwn(TRPC_CODE, code);
}

function problemOf({ path, message }: ZodError["issues"][number]): Problem {
  return { message, path: path.map(String).join(".") };
}
