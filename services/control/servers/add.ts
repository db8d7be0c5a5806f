import { createHash, randomBytes } from "node:crypto";
import type { AddServerView, addServerInput } from "@sluice/proto/api/servers";
import { streamOf } from "@sluice/proto/events/event";
import type { z } from "zod";
import { execute } from "../context/execute.ts";
import type { Context } from "../context/services.ts";
import { decideAdd } from "./decide.ts";
import { serverEntity } from "./state.ts";

/** Adds a server and makes its one-time token, of which only the hash is kept. */
export async function addServer(
  ctx: Context,
  { server, labels, again, reason }: z.output<typeof addServerInput>,
): Promise<AddServerView> {
  const token = randomBytes(24).toString("base64url");
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason,
    decide: (state) => decideAdd(state, { server, labels, tokenHash: hashToken(token), again }),
  });
  return { server, token };
}

/** Tokens are long and random, so a plain digest keeps them. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
