import { createConnection } from "node:net";
import type { ConfirmReply, ConfirmRequest } from "@sluice/proto/wire/envelope";
import { standings } from "../assignments/ls.ts";
import type { Context } from "../context/services.ts";
import { permitByHand } from "./by-hand.ts";

/** Time for a SYN that was lost to be sent again; the server waits a little longer for the answer. */
const DIAL_MS = 2_000;

/**
 * May a server keep what it has just applied? Only if it is what it is assigned now, and every `reach` can be dialled
 * from here. A yes is a permission only: the server confirms by itself and then reports it, and that counts.
 * In the preflight nothing is applied yet: an answer is all that is asked for.
 */
export async function permitConfirm(
  ctx: Context,
  server: string,
  { phase, epoch, generation, digest, reach }: ConfirmRequest,
): Promise<ConfirmReply> {
  if (phase === "preflight") return { ok: true };
  const newest = (await standings(ctx, server)).get(server)?.newest;
  if (newest === undefined) return { ok: false, reason: `${server} isn't assigned anything` };
  if (newest.epoch !== epoch || newest.generation !== generation) {
    return {
      ok: false,
      reason: `superseded: generation ${newest.generation} of epoch ${newest.epoch} is newer`,
    };
  }
  if (newest.manifest !== digest)
    return { ok: false, reason: `generation ${generation} is another manifest` };
  const failures = (await Promise.all(reach.map(dial))).filter((failure) => failure !== undefined);
  if (failures.length > 0) return { ok: false, reason: `not reached from outside: ${failures.join(", ")}` };
  return await permitByHand(ctx, newest);
}

/** Undefined when a TCP connection came about; else the endpoint, and why not. */
function dial({ address, port }: ConfirmRequest["reach"][number]): Promise<string | undefined> {
  const endpoint = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return new Promise((resolve) => {
    const socket = createConnection({ host: address, port });
    const end = (failure: string | undefined) => {
      socket.destroy();
      resolve(failure);
    };
    socket.setTimeout(DIAL_MS, () => end(`${endpoint} (no answer within ${DIAL_MS} ms)`));
    socket.once("connect", () => end(undefined));
    socket.once("error", (error) => end(`${endpoint} (${"code" in error ? error.code : error.message})`));
  });
}
