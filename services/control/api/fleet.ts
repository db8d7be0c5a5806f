import {
  createTokenInput,
  freezeFleetInput,
  removeTokenInput,
  type WhoAmIView,
} from "@sluice/proto/api/fleet";
import { freezeFleet } from "../fleet/freeze.ts";
import { showFleet } from "../fleet/show.ts";
import { thawFleet } from "../fleet/thaw.ts";
import { createToken, listTokens, removeToken } from "../tokens/tokens.ts";
import { admin, operator, router, viewer } from "./trpc.ts";

export const fleetRouter = router({
  show: viewer.query(({ ctx }) => showFleet(ctx)),
  freeze: operator.input(freezeFleetInput).mutation(({ ctx, input }) => freezeFleet(ctx, input)),
  thaw: operator.input(freezeFleetInput).mutation(({ ctx, input }) => thawFleet(ctx, input)),
});

export const tokensRouter = router({
  whoAmI: viewer.query(({ ctx }): WhoAmIView => ({ actor: ctx.actor, role: ctx.role })),
  create: admin.input(createTokenInput).mutation(({ ctx, input }) => createToken(ctx, input)),
  ls: admin.query(({ ctx }) => listTokens(ctx)),
  rm: admin.input(removeTokenInput).mutation(({ ctx, input }) => removeToken(ctx, input)),
});
