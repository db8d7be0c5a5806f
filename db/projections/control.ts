import { assignments } from "./assignments.ts";
import { drift } from "./drift.ts";
import { feed } from "./feed.ts";
import { fleet } from "./fleet.ts";
import { lists } from "./lists.ts";
import { plans } from "./plans.ts";
import { policies } from "./policies.ts";
import type { Projection } from "./projection.ts";
import { rollouts } from "./rollouts.ts";
import { servers } from "./servers.ts";
import { together } from "./together.ts";

const PARTS: readonly Projection[] = [
  policies,
  servers,
  assignments,
  rollouts,
  plans,
  drift,
  lists,
  feed,
  fleet,
];

/**
 * All tables of control as one projection: every command waits until its events are in them, and one transaction for
 * all is several times cheaper than one for each. They also show one moment of the log, never several.
 */
export const control: Projection = {
  name: "control",
  tables: PARTS.flatMap(({ tables }) => tables),
  types: [...new Set(PARTS.flatMap(({ types }) => types))],
  async apply(tx, events) {
    await together(
      PARTS.map(async ({ types, apply }) => {
        const its = events.filter(({ type }) => types.includes(type));
        if (its.length > 0) await apply(tx, its);
      }),
    );
  },
};
