import { wasHash } from "@sluice/db/log/archived";
import { keepCheckpoint, newestCheckpoint } from "@sluice/db/log/signed-checkpoints";
import { growTree, treeReader } from "@sluice/db/log/tree";
import { events } from "@sluice/db/schema/events";
import { SluiceError } from "@sluice/proto/base/errors";
import type { SignedMessage } from "@sluice/proto/base/sign";
import type { Checkpoint } from "@sluice/proto/wire/checkpoint";
import { eq } from "drizzle-orm";
import type { Services } from "../context/services.ts";
import { openCheckpoint } from "./signers.ts";

export interface SignedCheckpoint {
  checkpoint: Checkpoint;
  message: SignedMessage;
}

type Signing = Pick<Services, "database" | "clock" | "epoch" | "sign" | "signers">;

/**
 * Takes the log's end into the tree and signs it; the checkpoint there is where nothing came since; undefined for an empty log.
 * A log that contradicts what was signed of it before gets no further signature: what is wrong must not be signed over.
 */
export async function signCheckpoint(services: Signing): Promise<SignedCheckpoint | undefined> {
  const { database, clock, epoch, sign } = services;
  const seq = await growTree(database);
  const last = await lastSigned(services);
  if (last !== undefined) await mustHold(services, last.checkpoint);
  if (seq === (last?.checkpoint.seq ?? 0) && epoch === (last?.checkpoint.epoch ?? epoch)) return last;
  const root = await treeReader(database.db)({ from: 0, to: seq });
  const value: Checkpoint = {
    ...{ v: 1, epoch, seq, hash: await hashAt(services, seq) },
    ...{ size: seq, root: root.toString("hex"), at: clock.now().toISOString() },
  };
  const { message } = await keepCheckpoint(database.db, { epoch, seq, message: sign("checkpoint", value) });
  return opened(services, message);
}

/** The newest one that was signed. Throws CONFLICT where what is kept isn't our own word. */
export async function lastSigned(services: Signing): Promise<SignedCheckpoint | undefined> {
  const kept = await newestCheckpoint(services.database.db);
  return kept && opened(services, kept.message);
}

function opened({ signers }: Signing, message: SignedMessage): SignedCheckpoint {
  const result = openCheckpoint(signers, message);
  if (!result.ok) throw contradiction(`a checkpoint is kept that control didn't sign: ${result.reason}`);
  return { checkpoint: result.value, message };
}

async function mustHold(services: Signing, { seq, hash, size, root }: Checkpoint): Promise<void> {
  const { db } = services.database;
  if (!(await wasHash(db, seq, hash))) throw contradiction(`event ${seq} isn't the one that was signed`);
  if ((await treeReader(db)({ from: 0, to: size })).toString("hex") !== root)
    throw contradiction(`the Merkle tree of ${size} events isn't the one that was signed`);
}

async function hashAt({ database }: Signing, seq: number): Promise<string> {
  const [row] = await database.db.select({ hash: events.hash }).from(events).where(eq(events.seq, seq));
  if (row === undefined) throw contradiction(`event ${seq} is gone`);
  return row.hash.toString("hex");
}

function contradiction(what: string): SluiceError {
  return new SluiceError("CONFLICT", `${what}: no checkpoint is signed any more`, {
    cure: "sluice audit verify says what is wrong with the log",
  });
}
