import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { afterAll, beforeAll, expect, test } from "vitest";
import { labelArguments, timeArgument } from "./command.ts";
import { findContext } from "./context.ts";
import { reportFailure } from "./failure.ts";
import { table } from "./render/table.ts";
import type { Terminal } from "./terminal.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));
  await mkdir(join(folder, ".sluice"));
  await mkdir(join(folder, "a", "b"), { recursive: true });
  await writeFile(join(folder, ".sluice", "context.json"), '{"url":"http://lab","token":"stored"}');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function recorded(json = false) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    json,
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    status: () => undefined,
    paint: (_color, text) => text,
  };
  return { terminal, out, err };
}

test("a lab's context is found from any folder below it, and flags and environment win over it", () => {
  const cwd = join(folder, "a", "b");
  expect(findContext({ cwd, env: { HOME: folder } })).toEqual({ url: "http://lab", token: "stored" });
  expect(findContext({ cwd, env: { SLUICE_TOKEN: "env" } })).toEqual({ url: "http://lab", token: "env" });
  expect(findContext({ cwd, url: "http://flag", env: { SLUICE_URL: "http://env" } }).url).toBe("http://flag");
});

test("no context at all is one clear sentence with its cure", () => {
  expect(() => findContext({ cwd: "/", env: { HOME: "/nowhere" } })).toThrow(
    "no control service is known here",
  );
});

test("a refusal names file, line and column on stderr, is in the JSON, and exits 2", () => {
  const { terminal, out, err } = recorded(true);
  const place = { file: "web.yaml", line: 7, column: 3 };
  const error = new SluiceError("INVALID", "1 problem", {
    problems: [{ message: "unknown field 'fierwall'", place }],
    cure: "did you mean firewall?",
  });
  expect(reportFailure(terminal, error)).toBe(2);
  expect(err[0]).toBe("web.yaml:7:3: unknown field 'fierwall'");
  expect(JSON.parse(out[0] ?? "")).toMatchObject({ error: { code: "INVALID", problems: [{ place }] } });
});

test("a fault of ours exits 1", () => {
  expect(reportFailure(recorded().terminal, new Error("boom"))).toBe(1);
});

test("columns line up whatever colour their cells have", () => {
  expect(
    table(
      ["A", "B"],
      [
        ["\u001b[31mlong\u001b[39m", "1"],
        ["x", "2"],
      ],
    ),
  ).toEqual(["A     B", "\u001b[31mlong\u001b[39m  1", "x     2"]);
});

test("labels are set with key=value and taken away with key-", () => {
  expect(labelArguments(["role=web", "site-"])).toEqual({ set: { role: "web" }, unset: ["site"] });
  expect(() => labelArguments(["role"])).toThrow("neither");
});

test("a time is an ISO time or how long ago", () => {
  expect(timeArgument("2026-03-01T14:02:00Z")).toBe("2026-03-01T14:02:00.000Z");
  const agoMs = Date.now() - Date.parse(timeArgument("2h"));
  expect(Math.round(agoMs / 3_600_000)).toBe(2);
  expect(() => timeArgument("last week")).toThrow("a time such as");
});
