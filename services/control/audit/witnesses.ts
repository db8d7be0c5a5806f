import type { Database, Queryable } from "@sluice/db/connect";
import { wasHash } from "@sluice/db/log/archived";
import { witnessTable } from "@sluice/db/schema/proof";
import { keyId, type Opened, openMessage, type SignedMessage } from "@sluice/proto/base/sign";
import { byAge, type Checkpoint, witness } from "@sluice/proto/wire/checkpoint";
import type { Signers } from "@sluice/proto/wire/succession";
import { asc, sql } from "drizzle-orm";
import type { Services } from "../context/services.ts";
import { openCheckpoint } from "./signers.ts";

export interface Seen {
  checkpoint: Checkpoint;
  /** in the server's own signed words */
  message: SignedMessage;
  /** when it was heard, by control's clock (ISO) */
  at: string;
}

/** What a server says that it has seen, if the server said it and control had signed it. */
export function openWitness(
  server: string,
  publicKey: string,
  signers: Signers,
  message: SignedMessage,
): Opened<{ checkpoint: Checkpoint }> {
  const word = openMessage({ [keyId(publicKey)]: publicKey }, "witness", witness, JSON.stringify(message));
  if (!word.ok) return word;
  if (word.value.server !== server) return { ok: false, reason: `it speaks for ${word.value.server}` };
  const seen = openCheckpoint(signers, word.value.checkpoint);
  return seen.ok ? { ok: true, value: { checkpoint: seen.value } } : seen;
}

/**
 * The newest checkpoint that each server has seen: in memory, and in the database now and then. Who takes them out of the
 * database hears them again from the servers.
 */
export class Witnesses {
  readonly #seen = new Map<string, Seen>();
  readonly #unsaved = new Set<string>();

  of(server: string): Seen | undefined {
    return this.#seen.get(server);
  }

  /** Keeps it where it is newer than what the server said before; says it aloud where the log has another history. */
  async hear(services: Services, server: string, publicKey: string, message: SignedMessage): Promise<void> {
    const known = this.#seen.get(server);
    const { log, clock, signers, database, epoch } = services;
    const opened = openWitness(server, publicKey, signers, message);
    if (!opened.ok) {
      log.warn({ server, reason: opened.reason }, "a witness' word was dropped");
      return;
    }
    const seen = opened.value.checkpoint;
    if (known !== undefined && known.message.kid === message.kid && byAge(seen, known.checkpoint) <= 0)
      return;
    this.#seen.set(server, { checkpoint: seen, message, at: clock.now().toISOString() });
    this.#unsaved.add(server);
    if (seen.epoch === epoch && !(await isInLog(database.db, seen)))
      log.error(
        { server, seq: seen.seq },
        "a server has seen another history than the log has: see audit verify",
      );
  }

  async load({ db }: Database, signers: Signers): Promise<void> {
    for (const { server, message, at } of await readWitnesses(db)) {
      const word = witness.safeParse(JSON.parse(message.body)).data;
      const seen = word && openCheckpoint(signers, word.checkpoint);
      if (seen?.ok && !this.#seen.has(server))
        this.#seen.set(server, { checkpoint: seen.value, message, at });
    }
  }

  async save({ db }: Database): Promise<void> {
    const rows = [...this.#unsaved].flatMap((server) => {
      const seen = this.#seen.get(server);
      if (seen === undefined) return [];
      const { epoch, seq } = seen.checkpoint;
      return [{ server, epoch, seq, ...seen.message, at: seen.at }];
    });
    if (rows.length === 0) return;
    this.#unsaved.clear();
    const set = Object.fromEntries(
      ["epoch", "seq", "kid", "body", "sig", "at"].map((name) => [name, sql.raw(`excluded.${name}`)]),
    );
    await db.insert(witnessTable).values(rows).onConflictDoUpdate({ target: witnessTable.server, set });
  }
}

/** Whether the log has, at its place, the event that the checkpoint stands for. */
export async function isInLog(db: Queryable, { seq, hash }: Checkpoint): Promise<boolean> {
  return await wasHash(db, seq, hash);
}

export async function readWitnesses(
  db: Queryable,
): Promise<{ server: string; seq: number; message: SignedMessage; at: string }[]> {
  const rows = await db.select().from(witnessTable).orderBy(asc(witnessTable.server));
  return rows.map(({ server, seq, kid, body, sig, at }) => ({
    server,
    seq,
    message: { kid, body, sig },
    at,
  }));
}
