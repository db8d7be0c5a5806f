import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SluiceError } from "@sluice/proto/base/errors";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { labelArguments, timeArgument } from "./arguments.ts";
import { findContext } from "./context.ts";
import { reportFailure } from "./failure.ts";
import { changeInBatches } from "./list-change.ts";
import { originText } from "./render/place.ts";
import { refusalLines } from "./render/refusal.ts";
import { type Column, table } from "./render/table.ts";
import { timeText } from "./render/text.ts";
import type { Terminal } from "./terminal.ts";
import { usageMessage } from "./usage-error.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sluice-cli-"));
  await mkdir(join(folder, ".sluice"));
  await mkdir(join(folder, "a", "b"), { recursive: true });
  await writeFile(join(folder, ".sluice", "context.json"), '{"url":"http://lab","token":"stored"}');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function recorded({ json = false, width }: { json?: boolean; width?: number } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal: Terminal = {
    json,
    width,
    now: () => new Date("2026-03-01T14:02:00Z"),
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    status: () => undefined,
    taken: async () => undefined,
    paint: (color, text) => (color === "red" ? `\u001b[31m${text}\u001b[39m` : text),
  };
  return { terminal, out, err };
}

test("a lab's context is found from any folder below it, and flags and environment win over it", () => {
  const cwd = join(folder, "a", "b");
  expect(findContext({ cwd, env: { HOME: folder } })).toEqual({ url: "http://lab", token: "stored" });
  expect(findContext({ cwd, env: { SLUICE_TOKEN: "env" } })).toEqual({ url: "http://lab", token: "env" });
  expect(findContext({ cwd, url: "http://flag", env: { SLUICE_URL: "http://env" } }).url).toBe("http://flag");
});

test("no context at all, or an address that is none, is one clear sentence with its cure", () => {
  expect(() => findContext({ cwd: "/", env: { HOME: "/nowhere" } })).toThrow(
    "no control service is known here",
  );
  expect(() => findContext({ cwd: folder, url: "control:7070", env: {} })).toThrow("no address of control");
});

describe("what went wrong", () => {
  test("a refusal names file, line and column on stderr, is in the JSON, and exits 2", () => {
    const { terminal, out, err } = recorded({ json: true });
    const place = { file: "web.yaml", line: 7, column: 3 };
    const error = new SluiceError("INVALID", "1 problem", {
      problems: [{ message: "unknown field 'fierwall'", place }],
      cure: "did you mean firewall?",
    });
    expect(reportFailure(terminal, error)).toBe(2);
    expect(err[0]).toBe("web.yaml:7:3: unknown field 'fierwall'");
    expect(JSON.parse(out[0] ?? "")).toMatchObject({ error: { code: "INVALID", problems: [{ place }] } });
  });

  test("a single problem without a place is said in the one line, once", () => {
    const { terminal, err } = recorded();
    const problems = [{ message: "no address", found: "300.1.1.1" }];
    reportFailure(
      terminal,
      new SluiceError("INVALID", "1 address can't be in bans: 300.1.1.1 no address", { problems }),
    );
    reportFailure(terminal, new SluiceError("INVALID", "the input is wrong", { problems }));
    expect(err).toEqual([
      "sluice: 1 address can't be in bans: 300.1.1.1 no address",
      "sluice: the input is wrong: no address (found 300.1.1.1)",
    ]);
  });

  test("a fault of ours exits 1", () => {
    expect(reportFailure(recorded().terminal, new Error("boom"))).toBe(1);
  });

  test("wrong words on the command line: the option, what was expected, what was found", () => {
    expect(
      usageMessage("error: option '--for <duration>' argument 'x y' is invalid. a duration such as 90s"),
    ).toBe("--for <duration>: expected a duration such as 90s, found 'x y'");
    expect(
      usageMessage(
        "error: option '--role <role>' argument 'b' is invalid. Allowed choices are viewer, admin.",
      ),
    ).toBe("--role <role>: expected one of viewer, admin, found 'b'");
    expect(usageMessage("error: unknown command 'lss'\n(Did you mean ls?)")).toBe(
      "unknown command 'lss'; did you mean ls?",
    );
  });
});

describe("a table", () => {
  type Row = { name: string; state: string; what: string };
  const columns: Column<Row>[] = [
    { heading: "NAME", cell: ({ name }) => name },
    { heading: "STATE", cell: ({ state }) => state, paint: () => "red" },
    { heading: "EXTRA", cell: () => "not needed", optional: true },
    { heading: "WHAT", cell: ({ what }) => what, wraps: true },
  ];
  const what = "ip4/filter/SL-door-INPUT changed, ip6/filter/SL-door-INPUT changed";
  const rows = [
    { name: "web-1", state: "drifted", what },
    { name: "a-much-longer-name", state: "ok", what: "-" },
  ];

  test("is whole, a row a line, where no person looks; colours don't move columns", () => {
    const { terminal } = recorded();
    const red = (text: string) => `\u001b[31m${text}\u001b[39m`;
    expect(table(terminal, { columns, rows, none: "" })).toEqual([
      "NAME                STATE    EXTRA       WHAT",
      `web-1               ${red("drifted")}  not needed  ${what}`,
      `a-much-longer-name  ${red("ok")}       not needed  -`,
    ]);
  });

  test("keeps to the terminal's width: long cells wrap, and what is optional goes before they get too narrow", () => {
    const { terminal } = recorded({ width: 54 });
    const plain = { ...terminal, paint: (_: unknown, text: string) => text };
    expect(table(plain, { columns, rows, none: "" })).toEqual([
      "NAME                STATE    WHAT",
      "web-1               drifted  ip4/filter/SL-door-INPUT",
      "                             changed,",
      "                             ip6/filter/SL-door-INPUT",
      "                             changed",
      "a-much-longer-name  ok       -",
    ]);
  });

  test("without rows it is a sentence", () => {
    expect(table(recorded().terminal, { columns, rows: [], none: "no servers" })).toEqual(["no servers"]);
  });
});

test("a time is an age for people, and itself for programs", () => {
  const iso = "2026-03-01T13:02:00.000Z";
  expect(timeText(recorded({ width: 80 }).terminal, iso)).toBe("1h ago");
  expect(timeText(recorded().terminal, iso)).toBe("2026-03-01 13:02:00");
  expect(timeText(recorded().terminal, undefined)).toBe("-");
});

describe("the place of what was refused", () => {
  const files = new Map([["door", "policies/door.yaml"]]);
  const origin = { policy: "door", revision: 0, line: 7 };

  test("is file:line where a file was given, policy@revision:line where it is stored", () => {
    expect(originText(origin, files)).toBe(" (policies/door.yaml:7)");
    expect(originText({ ...origin, revision: 3 })).toBe(" (door@3:7)");
  });

  test("stands before the kernel's own words, and each of control's problems keeps its own", () => {
    const script = "-A SL-door-INPUT -m nosuch";
    expect(refusalLines({ step: "rehearse", reason: "Couldn't load match", origin, script }, files)).toEqual([
      "policies/door.yaml:7: Couldn't load match",
      `  in: ${script}`,
    ]);
    const reason = "door:7:9: too many hits\ndoor:9:3: there is no list bans";
    expect(refusalLines({ step: "compile", reason, origin }, files)).toEqual([
      "policies/door.yaml:7:9: too many hits",
      "policies/door.yaml:9:3: there is no list bans",
    ]);
  });
});

test("labels are set with key=value and taken away with key-", () => {
  expect(labelArguments(["role=web", "site-"])).toEqual({ set: { role: "web" }, unset: ["site"] });
  expect(() => labelArguments(["role"])).toThrow("neither");
});

test("a time is a date, a time in UTC unless it has a zone, or how long ago; nothing else", () => {
  expect(timeArgument("2026-03-01T14:02:00Z")).toBe("2026-03-01T14:02:00.000Z");
  expect(timeArgument("2026-03-01 14:02:07")).toBe("2026-03-01T14:02:07.000Z");
  expect(timeArgument("2026-03-01 14:02+01:00")).toBe("2026-03-01T13:02:00.000Z");
  expect(timeArgument("2026-03-01")).toBe("2026-03-01T00:00:00.000Z");
  const agoMs = Date.now() - Date.parse(timeArgument("2h"));
  expect(Math.round(agoMs / 3_600_000)).toBe(2);
  for (const text of ["last week", "5", "2026-13-01", "2026-03-01T99:00Z"])
    expect(() => timeArgument(text), text).toThrow("a time such as");
});

describe("a change of a list", () => {
  const view = { list: "bans", rev: 1, added: 1, renewed: 0, removed: 0, unchanged: 1, entries: 9 };

  test("of many addresses is several calls, told as one", async () => {
    const sizes: number[] = [];
    const given = Array.from({ length: 100_001 }, (_, index) => ({ text: String(index) }));
    const total = await changeInBatches(given, {
      change: async (addresses) => ({ ...view, rev: sizes.push(addresses.length) }),
      progress: () => undefined,
    });
    expect(sizes).toEqual([50_000, 50_000, 1]);
    expect(total).toEqual({ ...view, rev: 3, added: 3, unchanged: 3 });
  });

  test("names the line of the file that holds a wrong address", async () => {
    const place = { file: "feed.txt", line: 3, column: 1 };
    const problems = [{ message: "no address", found: "300.1.1.1" }];
    const change = changeInBatches([{ text: "192.0.2.1" }, { text: "300.1.1.1", place }], {
      change: () => Promise.reject(new SluiceError("INVALID", "1 of the addresses is wrong", { problems })),
      progress: () => undefined,
    });
    await expect(change).rejects.toMatchObject({ problems: [{ place }] });
  });
});
