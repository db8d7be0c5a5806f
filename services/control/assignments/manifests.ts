import { manifestTable } from "@sluice/db/schema/assignments";
import { canonicalJson } from "@sluice/proto/base/canonical";
import { sha256Hex } from "@sluice/proto/base/digest";
import { SluiceError } from "@sluice/proto/base/errors";
import { EMPTY_MANIFEST, type Manifest, manifest } from "@sluice/proto/manifest/manifest";
import { eq } from "drizzle-orm";
import type { Context, Services } from "../context/services.ts";

/** The digest of holding nothing of ours. */
export const EMPTY_MANIFEST_DIGEST = sha256Hex(canonicalJson(EMPTY_MANIFEST));
export const NOTHING = { manifest: EMPTY_MANIFEST_DIGEST, factsDigest: "" };

/** Keeps a manifest under its digest. Done before anything refers to it. */
export async function keepManifest({ database }: Services, value: Manifest): Promise<string> {
  const text = canonicalJson(value);
  const digest = sha256Hex(text);
  await database.db.insert(manifestTable).values({ digest, text }).onConflictDoNothing();
  return digest;
}

/** The canonical text that is signed for by its digest. */
export async function manifestText({ database }: Pick<Context, "database">, digest: string): Promise<string> {
  if (digest === EMPTY_MANIFEST_DIGEST) return canonicalJson(EMPTY_MANIFEST);
  const [row] = await database.db
    .select({ text: manifestTable.text })
    .from(manifestTable)
    .where(eq(manifestTable.digest, digest));
  if (row) return row.text;
  throw new SluiceError("INTERNAL", `the manifest ${digest} isn't kept here`);
}

/** How long its server has from the first write to confirmed. */
export async function deadlineMsOf(ctx: Pick<Context, "database">, digest: string): Promise<number> {
  return manifest
    .pick({ deadlineMs: true })
    .loose()
    .parse(JSON.parse(await manifestText(ctx, digest))).deadlineMs;
}
