import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundle } from "@sluice/infra/build/bundle";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { expect, test } from "vitest";

test("a bundle is made anew when a file it was made of has changed, and not otherwise", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = makePrivateDirectory("bundle");
  stack.defer(() => folder.remove());
  const entry = join(folder.path, "main.ts");
  const part = join(folder.path, "part.ts");
  await writeFile(entry, 'export { said } from "./part.ts";');
  await writeFile(part, 'export const said: string = "first";');
  const make = () =>
    bundle({ name: `test-${process.pid}.mjs`, entry, options: {}, madeBy: import.meta.filename });
  const file = await make();
  stack.defer(async () => {
    await rm(file);
    await rm(`${file}.made-of`);
  });
  const text = () => readFile(file, "utf8");
  const inode = async () => (await stat(file)).ino;

  const first = await inode();
  expect(await text()).toContain("first");
  expect(await make()).toBe(file);
  expect(await inode()).toBe(first);

  await writeFile(part, 'export const said: string = "second";');
  await make();
  expect(await text()).toContain("second");
  await rm(file);
  await make();
  expect(await text()).toContain("second");
});
