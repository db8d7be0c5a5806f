import type { Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { readHead } from "@sluice/db/log/read";
import { newestCheckpoint } from "@sluice/db/log/signed-checkpoints";
import { SluiceError } from "@sluice/proto/base/errors";
import { keyId, readPublicKey, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import { type EventData, SCHEMA_VERSIONS, streamOf } from "@sluice/proto/events/event";
import type { Succession } from "@sluice/proto/wire/succession";
import { logEntity } from "../audit/log-state.ts";
import { successionsSaid } from "../audit/signers.ts";
import { load } from "../context/execute.ts";
import type { Clock, Ids } from "../context/services.ts";
import { keepNextKey, keepSigningKey, readNextKey, takeNextKey } from "./state-dir.ts";

interface ChangeKey {
  stateDir: string;
  clock: Clock;
  ids: Ids;
  actor: string;
  reason: string;
  /** the public key that was lost (SPKI, base64) */
  was?: string | undefined;
}

/**
 * Another key signs from now on, and the log says so, so that what was signed before still counts. While no control runs.
 * The old key signs it, too, where it is in the state folder; where it is lost, the log's newest signature says which it was.
 * Interrupted, it goes on where it was. Returns the new key's id.
 */
export async function changeKey(database: Database, options: ChangeKey): Promise<string> {
  const { stateDir, was } = options;
  const here = await keepSigningKey(stateDir);
  const kid = await kidOfLog(database);
  if (kid !== undefined && kid === (await readNextKey(stateDir))?.kid) {
    await takeNextKey(stateDir);
    return kid;
  }
  if (kid !== undefined && kid !== here.kid) {
    await say(database, options, { from: lostKey(kid, was), to: here.publicKey }, [here]);
    return here.kid;
  }
  const next = await keepNextKey(stateDir);
  await say(database, options, { from: here.publicKey, to: next.publicKey }, [here, next]);
  await takeNextKey(stateDir);
  return next.kid;
}

/** Of the key that signs the log, as far as it tells. */
async function kidOfLog({ db }: Database): Promise<string | undefined> {
  const last = (await successionsSaid(db)).at(-1);
  return last === undefined ? (await newestCheckpoint(db))?.message.kid : keyId(last.to);
}

function lostKey(kid: string, was: string | undefined): string {
  if (was !== undefined && readPublicKey(was) !== undefined && keyId(was) === kid) return was;
  throw new SluiceError("INVALID", `the log was signed with key ${kid}, which isn't in the state folder`, {
    cure: "put it back, or give its public key with --was: each server has it in identity.json, under keys",
  });
}

async function say(
  database: Database,
  { clock, ids, actor, reason }: ChangeKey,
  keys: Pick<Succession, "from" | "to">,
  signing: readonly SigningKey[],
): Promise<void> {
  const { version } = await load({ database }, streamOf.log(), logEntity);
  const said: Succession = { upTo: (await readHead(database.db)).seq, ...keys };
  const sigs = signing
    .map((key) => signMessage(key, "succession", said))
    .map(({ kid, sig }) => ({ kid, sig }));
  const data: EventData<"SigningKeyChanged"> = { ...said, sigs };
  const type = "SigningKeyChanged";
  const meta = { at: clock.now().toISOString(), actor, reason, correlation: ids.uuid() };
  const appender = new Appender(database);
  const events = [{ id: ids.uuid(), type, schemaVersion: SCHEMA_VERSIONS[type] ?? 1, data, meta, keys: {} }];
  const verdict = await appender
    .append({ stream: streamOf.log(), expected: version, events })
    .finally(() => appender.close());
  if (verdict.outcome === "conflict")
    throw new SluiceError("CONFLICT", "the log was changed meanwhile", {
      cure: "stop control, then try again",
    });
}
