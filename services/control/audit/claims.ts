import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "@sluice/db/connect";
import { wasHash } from "@sluice/db/log/archived";
import type { Claim, Copy } from "@sluice/db/log/claims";
import { checkpointsBetween } from "@sluice/db/log/signed-checkpoints";
import { serverTable } from "@sluice/db/schema/servers";
import type { Finding } from "@sluice/proto/api/proof";
import { tryJson } from "@sluice/proto/base/json";
import { leafHash } from "@sluice/proto/base/merkle";
import { keyId } from "@sluice/proto/base/sign";
import type { Checkpoint } from "@sluice/proto/wire/checkpoint";
import type { Signers } from "@sluice/proto/wire/succession";
import { z } from "zod";
import type { Context } from "../context/services.ts";
import { openCheckpoint } from "./signers.ts";
import { openWitness, readWitnesses } from "./witnesses.ts";

/** What is known of the log beside itself: what control signed, what NATS keeps of it, what servers have seen. */
export interface Known {
  claims: Claim[];
  /** servers that bear witness */
  witnesses: number;
  findings: Finding[];
  notes: string[];
}

const BROKER_MS = 5_000;
const FORGED_MOST = 20;

/** The checkpoints beside the log that are signed, as claims; those that aren't are told to `findings`. */
export function keptClaims(
  db: Queryable,
  signers: Signers,
  findings: Finding[],
): (from: number, to: number) => Promise<Claim[]> {
  return async (from, to) => {
    const claims: Claim[] = [];
    for (const { epoch, seq, message } of await checkpointsBetween(db, from, to)) {
      const opened = openCheckpoint(signers, message);
      if (opened.ok && opened.value.seq === seq && opened.value.epoch === epoch)
        claims.push(claimOf("a signed checkpoint", opened.value));
      else if (findings.length < FORGED_MOST)
        findings.push(forged(seq, `the checkpoint that is kept of event ${seq}`, opened));
    }
    return claims;
  };
}

/** What is known outside the database. */
export async function outsideClaims(ctx: Context): Promise<Known> {
  const known: Known = { claims: [], witnesses: 0, findings: [], notes: [] };
  await addBroker(ctx, known);
  await addWitnesses(ctx, known);
  return known;
}

async function addBroker(ctx: Context, known: Known): Promise<void> {
  const { link, signers } = ctx;
  const text = link.connected()
    ? await Promise.race([link.lastCheckpoint(), delay(BROKER_MS, "away" as const)])
    : "away";
  if (text === "away") known.notes.push("NATS is away: its checkpoint wasn't asked for");
  if (text === "away" || text === undefined) return;
  const opened = openCheckpoint(signers, text);
  if (opened.ok) await add(ctx, known, "the checkpoint in NATS", opened.value);
  else known.findings.push(forged(0, "the newest checkpoint in NATS", opened));
}

async function addWitnesses(ctx: Context, known: Known): Promise<void> {
  const { db } = ctx.database;
  const servers = await db
    .select({ server: serverTable.server, publicKey: serverTable.publicKey })
    .from(serverTable);
  const keys = new Map(servers.map(({ server, publicKey }) => [server, publicKey]));
  for (const { server, seq, message } of await readWitnesses(db)) {
    const key = keys.get(server);
    if (key === undefined || key === null || keyId(key) !== message.kid) {
      known.notes.push(`${server} has another key than when it saw event ${seq}: its word wasn't counted`);
      continue;
    }
    const opened = openWitness(server, key, ctx.signers, message);
    known.witnesses += opened.ok ? 1 : 0;
    if (opened.ok) await add(ctx, known, server, opened.value.checkpoint);
    else known.findings.push(forged(seq, `what ${server} has seen of event ${seq}`, opened));
  }
}

/** A restored database has lost what came after its backup, and goes on under a new epoch: that is told, and no fault. */
async function add({ database, epoch }: Context, known: Known, by: string, of: Checkpoint): Promise<void> {
  const isBefore = of.epoch < epoch;
  if (isBefore && !(await wasHash(database.db, of.seq, of.hash))) {
    known.notes.push(
      `${by} knows event ${of.seq} of epoch ${of.epoch}, which the log of epoch ${epoch} doesn't have: lost by a restore`,
    );
    return;
  }
  known.claims.push(claimOf(by, of));
}

function claimOf(by: string, { seq, hash, root }: Checkpoint): Claim {
  return { by, seq, hash, root };
}

function forged(seq: number, what: string, opened: { ok: true } | { ok: false; reason: string }): Finding {
  const reason = opened.ok ? "signed for another place" : opened.reason;
  return { tampering: "forged", seq, message: `${what} isn't what was signed: ${reason}` };
}

const published = z.union([
  z.object({ hash: z.string(), type: z.string(), stream: z.string() }),
  z.object({ leaf: z.string() }),
]);

/** The EVENTS stream, which has the hash of every event. */
export function brokerCopy({ link }: Context): Copy & {
  names(seq: number): Promise<{ type: string; stream: string } | undefined>;
} {
  async function read(seq: number) {
    const text = link.connected() ? await link.eventText(seq) : undefined;
    return text === undefined ? undefined : published.safeParse(tryJson(text)).data;
  }
  return {
    async leaf(seq) {
      const event = await read(seq);
      if (event === undefined) return undefined;
      return "leaf" in event ? Buffer.from(event.leaf, "hex") : leafHash(Buffer.from(event.hash, "hex"));
    },
    async names(seq) {
      const event = await read(seq);
      return event && "type" in event ? { type: event.type, stream: event.stream } : undefined;
    },
  };
}
