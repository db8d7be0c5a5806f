import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createAuthority } from "../link/authority.ts";
import { readAuthority } from "./state-dir.ts";

async function stateDirWith(authority: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-state-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "authority.json"), JSON.stringify(authority));
  return folder;
}

test("an authority over NATS logins is read as it was made", async () => {
  const made = await createAuthority();
  expect(await readAuthority(await stateDirWith(made))).toEqual(made);
});

test("one that was made before agents had an account of their own is refused, with what to do", async () => {
  const { agents: _, ...older } = await createAuthority();
  await expect(readAuthority(await stateDirWith(older))).rejects.toMatchObject({
    code: "INVALID",
    cure: expect.stringContaining("enrol the servers again"),
  });
});
