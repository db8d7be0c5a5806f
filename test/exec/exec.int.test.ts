import { readFile } from "node:fs/promises";
import { createFeed, type FeedOptions } from "@sluice/agents/exec/child";
import { liveNamespace } from "@sluice/agents/exec/live-namespace";
import { openRehearsal } from "@sluice/agents/exec/rehearsal-namespace";
import { describe, expect, test } from "vitest";

const SHELL_FEED: FeedOptions = {
  command: "sh",
  args: [],
  mark: (n) => `echo mark-${n}\n`,
  isMark: (line, n) => line === `mark-${n}`,
  refusesBy: "ending",
  timeoutMs: 2_000,
};

describe("a command", () => {
  test("is given its arguments as they are, without a shell", async () => {
    const result = await liveNamespace().run("printf", ["%s", "$HOME; `id`"]);
    expect(result.stdout).toBe("$HOME; `id`");
  });

  test("answers a failure with its code and words, and doesn't throw", async () => {
    const result = await liveNamespace().run("ls", ["/nowhere"]);
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain("No such file or directory");
  });

  test("that takes too long is killed", async () => {
    const result = await liveNamespace().run("sleep", ["60"], { timeoutMs: 50 });
    expect(result).toMatchObject({ code: null, timedOut: true });
  });

  test("that prints without end is stopped", async () => {
    const bounded = liveNamespace({ maxOutputBytes: 10_000 });
    await expect(bounded.run("yes", [])).rejects.toThrow("printed more than 10000 bytes");
  });

  test("that isn't there is named", async () => {
    await expect(liveNamespace().run("no-such-tool", [])).rejects.toThrow("no-such-tool can't be started");
    expect(() => liveNamespace().spawn("no-such-tool", [])).toThrow("no-such-tool can't be started");
  });
});

describe("a rehearsal", () => {
  test("is a namespace of its own, with lo up and an xtables lock of its own", async () => {
    await using rehearsal = await openRehearsal();
    const links = await rehearsal.run("ip", ["-o", "link", "show", "up"]);
    expect(links.stdout.split("\n").filter(Boolean)).toHaveLength(1);
    expect(links.stdout).toContain("lo:");
    const lock = await rehearsal.run("printenv", ["XTABLES_LOCKFILE"]);
    expect(lock.stdout).toMatch(/xtables\.lock\n$/);
    const here = await liveNamespace().run("readlink", ["/proc/self/ns/net"]);
    const there = await rehearsal.run("readlink", ["/proc/self/ns/net"]);
    expect(there.stdout).not.toBe(here.stdout);
  });

  test("ends with everything that still runs in it", async () => {
    const rehearsal = await openRehearsal();
    const sleeper = rehearsal.spawn("sleep", ["600"]);
    await rehearsal.close();
    for (const pid of [sleeper.pid, rehearsal.pid]) {
      await expect(readFile(`/proc/${pid}/cmdline`, "utf8")).rejects.toThrow("ENOENT");
    }
  });
});

describe("a long-lived child", () => {
  test("answers each text when it is done, in the order they were sent", async () => {
    const feed = createFeed(liveNamespace(), SHELL_FEED);
    const order: number[] = [];
    await Promise.all([1, 2, 3].map((n) => feed.send(":").then(() => order.push(n))));
    expect(order).toEqual([1, 2, 3]);
    await feed.retire();
  });

  test("that dies on a bad text answers with its words and the lines before it; the next text finds a new one", async () => {
    const feed = createFeed(liveNamespace(), SHELL_FEED);
    expect(await feed.send("echo a\necho b")).toEqual({ ok: true, lines: ["a", "b"] });
    const { pid } = feed;
    expect(await feed.send("echo no >&2; exit 3")).toEqual({
      ok: false,
      why: "refused",
      lines: ["no"],
      linesBefore: 3,
      code: 3,
    });
    expect(await feed.send(":")).toMatchObject({ ok: true });
    expect(feed.pid).not.toBe(pid);
    await feed.retire();
  });

  test("that says no on stderr and goes on is a refusal too, where that is its way", async () => {
    const feed = createFeed(liveNamespace(), {
      ...SHELL_FEED,
      mark: (n) => `echo mark-${n} >&2\n`,
      refusesBy: "stderr",
    });
    expect(await feed.send("echo no >&2")).toMatchObject({ ok: false, why: "refused", lines: ["no"] });
    const { pid } = feed;
    expect(await feed.send(":")).toMatchObject({ ok: true });
    expect(feed.pid).toBe(pid);
    await feed.retire();
  });

  test("that is killed while it waits is replaced; one killed at work says so", async () => {
    const feed = createFeed(liveNamespace(), SHELL_FEED);
    expect(await feed.send("kill -9 $$")).toMatchObject({ ok: false, why: "died", lines: [] });
    expect(await feed.send(":")).toMatchObject({ ok: true });
    await feed.retire();
  });

  test("that doesn't answer in time is killed", async () => {
    const feed = createFeed(liveNamespace(), { ...SHELL_FEED, timeoutMs: 50 });
    expect(await feed.send("exec sleep 60")).toMatchObject({ ok: false, why: "timeout" });
    expect(feed.pid).toBeUndefined();
  });
});
