import { randomBytes } from "node:crypto";
import { tokenTable } from "@sluice/db/schema/fleet";
import type { CreateTokenView, createTokenInput, Role, TokenRowView } from "@sluice/proto/api/fleet";
import { SluiceError } from "@sluice/proto/base/errors";
import { asc, eq } from "drizzle-orm";
import type { z } from "zod";
import type { Services } from "../context/services.ts";
import { hashToken } from "../servers/add.ts";

/** Tokens for the API. They are no events; of each only the hash is kept, and its name is the actor of what it does. */
type Needs = Pick<Services, "database" | "clock">;

export async function createToken(
  { database, clock }: Needs,
  { name, role }: z.output<typeof createTokenInput>,
): Promise<CreateTokenView> {
  const token = `slt_${randomBytes(24).toString("base64url")}`;
  const row = { name, role, hash: hashToken(token), createdAt: clock.now().toISOString() };
  const made = await database.db.insert(tokenTable).values(row).onConflictDoNothing().returning();
  if (made.length === 0) {
    throw new SluiceError("REFUSED", `there is a token ${name} already`, { cure: "remove it first" });
  }
  return { name, role, token };
}

/** The token that control is started with: it stands for `admin`, whatever it was before. */
export async function keepBootstrapToken({ database, clock }: Needs, token: string): Promise<void> {
  const row = { role: "admin" as const, hash: hashToken(token), createdAt: clock.now().toISOString() };
  await database.db
    .insert(tokenTable)
    .values({ name: "admin", ...row })
    .onConflictDoUpdate({ target: tokenTable.name, set: row });
}

export async function whoHas(
  { database }: Needs,
  token: string,
): Promise<{ actor: string; role: Role } | undefined> {
  const [row] = await database.db
    .select()
    .from(tokenTable)
    .where(eq(tokenTable.hash, hashToken(token)));
  return row && { actor: row.name, role: row.role };
}

export async function listTokens({ database }: Needs): Promise<TokenRowView[]> {
  const rows = await database.db.select().from(tokenTable).orderBy(asc(tokenTable.name));
  return rows.map(({ name, role, createdAt }) => ({ name, role, createdAt }));
}

export async function removeToken({ database }: Needs, { name }: { name: string }): Promise<TokenRowView> {
  const [row] = await database.db.delete(tokenTable).where(eq(tokenTable.name, name)).returning();
  if (!row) throw new SluiceError("NOT_FOUND", `there is no token ${name}`);
  return { name, role: row.role, createdAt: row.createdAt };
}
