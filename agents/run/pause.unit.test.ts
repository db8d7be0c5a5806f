import { expect, test } from "vitest";
import type { RecordFile } from "../state/record-file.ts";
import type { PauseRecord } from "../state/schemas.ts";
import { openPause } from "./pause.ts";

/** A disk that takes a record when the test says so. */
function slowDisk() {
  const taken = Promise.withResolvers<void>();
  const file: RecordFile<PauseRecord> = {
    path: "paused.json",
    read: async () => ({ kind: "none" }),
    write: () => taken.promise,
    remove: async () => undefined,
  };
  return { file, ...taken };
}

const drill = () => ({ until: new Date(Date.now() + 600_000).toISOString(), reason: "drill", by: "root" });

test("a pause is in force from when it is asked for, before the disk has taken it", async () => {
  const { file, resolve } = slowDisk();
  const pause = await openPause({ file, onEnd: () => undefined, log: () => undefined });
  const begun = pause.begin(drill());
  expect(pause.now()).toMatchObject({ reason: "drill" });
  resolve();
  await begun;
  expect(pause.now()).toMatchObject({ reason: "drill" });
  pause.close();
});

test("one that the disk doesn't take is none, and said", async () => {
  const { file, reject } = slowDisk();
  const pause = await openPause({ file, onEnd: () => undefined, log: () => undefined });
  const begun = pause.begin(drill());
  reject(new Error("read-only file system"));
  await expect(begun).rejects.toThrow("read-only");
  expect(pause.now()).toBeUndefined();
  pause.close();
});
