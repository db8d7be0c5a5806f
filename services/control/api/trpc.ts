import type { ErrorView } from "@sluice/proto/api/error";
import type { Role } from "@sluice/proto/api/fleet";
import { initTRPC, TRPCError } from "@trpc/server";
import type { Context } from "../context/services.ts";
import { errorViewOf, toTrpcError } from "./errors.ts";

/** One call: who asks (nobody, without a good token), and what its procedure works with. */
export interface Call extends Context {
  role: Role | undefined;
}

const t = initTRPC.context<Call>().create({
  errorFormatter({ shape, error }) {
    const { stack: _, ...data } = shape.data;
    const sluice: ErrorView = errorViewOf(error);
    return { ...shape, message: sluice.message, data: { ...data, sluice } };
  },
  sse: { ping: { enabled: true, intervalMs: 10_000 }, client: { reconnectAfterInactivityMs: 30_000 } },
});

export const router = t.router;

const RANK: Readonly<Record<Role, number>> = { viewer: 1, operator: 2, admin: 3 };

/** Everything is told through here: the token's role must be enough, and errors leave as what they are. */
function needing(least: Role) {
  return t.procedure.use(async ({ ctx, next }) => {
    const { role } = ctx;
    if (role === undefined) {
      throw new TRPCError({
        code: "UNAUTHORIZED",
        message: "a token is needed: Authorization: Bearer TOKEN",
      });
    }
    if (RANK[role] < RANK[least]) {
      throw new TRPCError({ code: "FORBIDDEN", message: `${ctx.actor} is ${role}; this needs ${least}` });
    }
    const result = await next({ ctx: { ...ctx, role } });
    if (!result.ok) throw toTrpcError(result.error);
    return result;
  });
}

/** looks */
export const viewer = needing("viewer");
/** changes: every mutation of the fleet */
export const operator = needing("operator");
/** hands out tokens */
export const admin = needing("admin");
