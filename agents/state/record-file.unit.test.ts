import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { recordFile } from "./record-file.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-record-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function given() {
  return recordFile(join(folder, "one.json"), z.strictObject({ n: z.int() }));
}

test("what was written is read", async () => {
  const file = given();
  expect(await file.read()).toEqual({ kind: "none" });
  await file.write({ n: 7 });
  expect(await file.read()).toEqual({ kind: "value", value: { n: 7 } });
  await file.remove();
  expect(await file.read()).toEqual({ kind: "none" });
});

test.each([
  ["cut off", (text: string) => text.slice(0, 40)],
  ["emptied", () => ""],
  ["changed by hand", (text: string) => text.replace("7", "8")],
])("a file that was %s is torn, not believed", async (_how, damage) => {
  const file = given();
  await file.write({ n: 7 });
  writeFileSync(file.path, damage(readFileSync(file.path, "utf8")));
  expect(await file.read()).toMatchObject({ kind: "torn" });
});
