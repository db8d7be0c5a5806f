import { z } from "zod";
import { decidedView, entityName, reason } from "./common.ts";

/** Freezing twice is one freeze; the view says since when and why. */
export const freezeFleetInput = z.strictObject({ reason });

export const fleetView = z.strictObject({
  frozen: z.boolean(),
  /** the last freeze or thaw */
  decided: decidedView.optional(),
  servers: z.int(),
  connected: z.int(),
  runningRollouts: z.array(z.string()),
});
export type FleetView = z.infer<typeof fleetView>;

/** viewer: looks. operator: changes. admin: also hands out tokens. */
export const role = z.enum(["viewer", "operator", "admin"]);
export type Role = z.infer<typeof role>;

/** A token's name is the actor that its events carry. */
export const createTokenInput = z.strictObject({ name: entityName, role });
/** `token` is shown this once. */
export const createTokenView = z.strictObject({ name: z.string(), role, token: z.string() });
export type CreateTokenView = z.infer<typeof createTokenView>;

export const tokenRowView = z.strictObject({ name: z.string(), role, createdAt: z.string() });
export type TokenRowView = z.infer<typeof tokenRowView>;

export const removeTokenInput = z.strictObject({ name: entityName });

export const whoAmIView = z.strictObject({ actor: z.string(), role });
export type WhoAmIView = z.infer<typeof whoAmIView>;
