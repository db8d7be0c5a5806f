import { serverTable } from "@sluice/db/schema/servers";
import { SluiceError } from "@sluice/proto/base/errors";
import { streamOf } from "@sluice/proto/events/event";
import type { EnrolReply, EnrolRequest } from "@sluice/proto/wire/enrol";
import { eq } from "drizzle-orm";
import { NOTHING } from "../assignments/manifests.ts";
import { execute } from "../context/execute.ts";
import { asSluice, type Services } from "../context/services.ts";
import { resumeRollouts } from "../rollouts/sweep.ts";
import { hashToken } from "./add.ts";
import { decideEnrol, decideUninstalled } from "./decide.ts";
import { serverEntity } from "./state.ts";

/** Trades a one-time token for a name, a login and the keys to obey. The agent is the actor. */
export async function enrolServer(
  services: Services,
  { token, publicKey, natsKey, uninstalled }: EnrolRequest,
): Promise<EnrolReply> {
  const { database, enrolment, epoch, ids } = services;
  const tokenHash = hashToken(token);
  const [row] = await database.db
    .select({ server: serverTable.server })
    .from(serverTable)
    .where(eq(serverTable.tokenHash, tokenHash));
  if (!row) throw unknownToken();
  const { server } = row;
  // before anything is stored: a key that no login can be made for doesn't use up the token
  const jwt = await enrolment.issueJwt?.(server, natsKey);
  const ctx = { ...asSluice(services, ids.uuid()), actor: `agent:${server}` };
  await execute(ctx, {
    stream: streamOf.server(server),
    entity: serverEntity,
    reason: "enrolled",
    decide(state) {
      if (state.tokenHash !== tokenHash) throw unknownToken(); // the server was added again just now
      const enrolled = decideEnrol(state, { publicKey, natsKey });
      if (enrolled.length === 0 || uninstalled === undefined) return enrolled;
      return [...decideUninstalled(state, { ...uninstalled, epoch, empty: NOTHING }), ...enrolled];
    },
  });
  if (uninstalled !== undefined) await resumeRollouts(ctx);
  return {
    server,
    epoch,
    keys: { ...enrolment.keys },
    nats: { urls: [...enrolment.natsUrls], ...(jwt === undefined ? {} : { jwt }) },
    control: [...enrolment.control],
  };
}

function unknownToken(): SluiceError {
  return new SluiceError("UNAUTHENTICATED", "no server was added with this token", {
    cure: "add the server and give its agent the token that is printed",
  });
}
