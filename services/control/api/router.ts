import { auditRouter } from "./audit.ts";
import { driftRouter } from "./drift.ts";
import { feedRouter } from "./feed.ts";
import { fleetRouter, tokensRouter } from "./fleet.ts";
import { listsRouter } from "./lists.ts";
import { plansRouter } from "./plans.ts";
import { assignmentsRouter, policiesRouter } from "./policies.ts";
import { rolloutsRouter } from "./rollouts.ts";
import { serversRouter } from "./servers.ts";
import { router } from "./trpc.ts";

export const appRouter = router({
  policies: policiesRouter,
  assignments: assignmentsRouter,
  servers: serversRouter,
  plans: plansRouter,
  rollouts: rolloutsRouter,
  drift: driftRouter,
  lists: listsRouter,
  audit: auditRouter,
  feed: feedRouter,
  fleet: fleetRouter,
  tokens: tokensRouter,
});

/** All that a client needs: `createTRPCClient<AppRouter>(…)`. */
export type AppRouter = typeof appRouter;
