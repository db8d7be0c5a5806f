import { type Proof, verify } from "@sluice/db/log/verify";
import type { AuditVerifyView, Finding } from "@sluice/proto/api/proof";
import type { Context } from "../context/services.ts";
import { archivesTold, fileOf } from "./archived-files.ts";
import { brokerCopy, keptClaims, outsideClaims } from "./claims.ts";
import { forgedSuccessions } from "./signers.ts";

const FINDINGS_MOST = 20;

/**
 * The whole of the log's proof: its chain, its columns, its Merkle tree, every signed checkpoint, what NATS and the servers
 * have seen of it, and that nothing made of it has come further than it goes.
 */
export async function verifyLog(
  ctx: Context,
  watched: Partial<Pick<Proof, "onProgress" | "signal">> = {},
): Promise<AuditVerifyView> {
  await ctx.witnesses.save(ctx.database);
  const outside = await outsideClaims(ctx);
  const told = await archivesTold(ctx.database.db, ctx.signers);
  const forged: Finding[] = [...told.findings, ...(await forgedSuccessions(ctx.database.db, ctx.signers))];
  const copy = brokerCopy(ctx);
  const verified = await verify(ctx.database.db, {
    claims: outside.claims,
    claimsBetween: keptClaims(ctx.database.db, ctx.signers, forged),
    copies: [copy],
    archives: told.archives,
    ...watched,
  });
  const { events, head, tree, claims, archived } = verified;
  const files = told.archives.filter(({ to }) => to <= archived.upTo);
  const all = [...verified.findings, ...outside.findings, ...forged].sort((a, b) => a.seq - b.seq);
  const findings = await Promise.all(
    all.slice(0, FINDINGS_MOST).map(async (finding) => ({
      ...finding,
      // of an event that is gone, NATS may still know what it was
      ...(finding.type === undefined && finding.upTo === undefined && (await copy.names(finding.seq))),
    })),
  );
  return {
    ok: findings.length === 0,
    ...{ events, head, tree },
    proven: { signatures: claims.held(), upTo: claims.heldUpTo(), witnesses: outside.witnesses },
    ...(files.length > 0 && { archived: { ...archived, files: files.map(fileOf) } }),
    findings,
    notes: outside.notes,
  };
}
