import { chmodSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter } from "node:path";
import type { Agent } from "@sluice/agents/run/agent";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startTestAgent } from "./agent.ts";
import { createFakeControl, type FakeControl } from "./fake-link.ts";
import { firewall } from "./manifests.ts";
import { createTestServer, type TestServer } from "./server.ts";

/**
 * Tools that hang, answer 4, lie or are gone, found before the real ones. What the server held before stands, whole,
 * whatever they do; and where they come to their senses the change goes on by itself.
 */
const PATIENCE_MS = 120_000;
const SYSTEM_FOLDERS = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

let server: TestServer;
let control: FakeControl;
let agent: Agent | undefined;
let bin: string;

beforeEach(async () => {
  server = await createTestServer();
  control = createFakeControl();
  bin = `${server.folder}/bin`;
  mkdirSync(bin);
  server.env.PATH = [bin, process.env.PATH, ...SYSTEM_FOLDERS].join(delimiter);
});
afterEach(async () => {
  rmSync(bin, { recursive: true, force: true }); // what undoes meets the real tools
  vi.unstubAllEnvs();
  await agent?.close();
  agent = undefined;
  await server.remove();
});

/** Repeats the comments that it is fed, as `-v` does, and nothing else; what undoes, from a file, is served. */
const LYING = '[ -f /dev/stdin ] || exec grep --line-buffered "^# sluice"\nexec $real "$@"';

/** A script in a tool's place. `$real` is the tool, `$once` true the first time that it is asked for. */
function fake(tool: string, script: string): void {
  const real = `real=/usr/sbin/${tool}`;
  const once = `once=false; mkdir '${bin}/${tool}.met' 2>/dev/null && once=true`;
  writeFileSync(`${bin}/${tool}`, `#!/bin/sh\n${real}\n${once}\n${script}\n`);
  chmodSync(`${bin}/${tool}`, 0o755);
}

async function outcome(count: number) {
  await waitUntil(`outcome ${count}`, PATIENCE_MS, () => control.outcomes().length >= count);
  await waitUntil("rest", PATIENCE_MS, () => agent?.status().state !== "applying");
  return control.outcomes()[count - 1];
}

const SECOND = {
  ...firewall({ port: 2222, rate: "5mbit", office: ["203.0.113.0/24"] }),
  deadlineMs: 10 * 60_000,
};

describe.each(["nft", "legacy"] as const)("iptables-%s", (backend) => {
  const restore = `iptables-${backend}-restore`;

  /** Generation 1 by tools that work; how it looks. The next change meets new children. */
  async function given(): Promise<string> {
    agent = await startTestAgent(server, control, { backend });
    control.issue(firewall(), 1);
    expect(await outcome(1)).toMatchObject({ result: "confirmed" });
    const before = await server.dump(backend);
    await agent.close();
    return before;
  }

  async function change() {
    agent = await startTestAgent(server, control, { backend });
    control.issue(SECOND, 2);
    return await outcome(2);
  }

  test(
    "a restore that hangs is ended, and the change undone",
    async () => {
      const before = await given();
      fake(restore, '$once && exec sleep 3600\nexec $real "$@"');
      expect(await change()).toMatchObject({
        result: "reverted",
        refusal: {
          step: "apply",
          reason: expect.stringContaining("no answer in time from iptables-restore"),
        },
      });
      expect(await server.dump(backend)).toBe(before);
    },
    PATIENCE_MS,
  );

  test(
    "a restore that answers 4 is asked again until it does it",
    async () => {
      await given();
      fake(restore, '$once && exit 4\nexec $real "$@"');
      expect(await change()).toMatchObject({ result: "confirmed" });
      expect(await server.dump(backend)).toContain("--dport 2222");
    },
    PATIENCE_MS,
  );

  test(
    "a restore that always answers 4 is given up, and the change undone",
    async () => {
      const before = await given();
      // the undo's own process has its text in a file, the agent's child doesn't
      fake(restore, '[ -f /dev/stdin ] || exit 4\nexec $real "$@"');
      expect(await change()).toMatchObject({ result: "reverted", refusal: { step: "apply" } });
      expect(await server.dump(backend)).toBe(before);
    },
    PATIENCE_MS,
  );

  test(
    "a restore that says it did and did nothing isn't believed: the change is undone",
    async () => {
      const before = await given();
      fake(restore, LYING);
      expect(await change()).toMatchObject({
        result: "reverted",
        refusal: { step: "verify", reason: expect.stringContaining("ip4/filter") },
      });
      expect(await server.dump(backend)).toBe(before);
    },
    PATIENCE_MS,
  );

  test(
    "where it lies in the rehearsal too, nothing is written",
    async () => {
      const before = await server.dump(backend);
      fake(restore, LYING);
      vi.stubEnv("PATH", [bin, process.env.PATH].join(delimiter));
      agent = await startTestAgent(server, control, { backend });
      control.issue(firewall(), 1);
      expect(await outcome(1)).toMatchObject({
        result: "refused",
        refusal: { step: "rehearse", reason: expect.stringContaining("doesn't hold ip4/filter/SL-INPUT") },
      });
      expect(await server.dump(backend)).toBe(before);
    },
    PATIENCE_MS,
  );

  test(
    "a restore that is gone is told by its name, and the change undone",
    async () => {
      const before = await given();
      withoutTool(restore);
      expect(await change()).toMatchObject({
        result: "reverted",
        refusal: { step: "apply", reason: expect.stringContaining(restore) },
      });
      linkTool(restore);
      expect(await server.dump(backend)).toBe(before);
    },
    PATIENCE_MS,
  );
});

test(
  "while save can't be had nothing is written, and the change waits; one that nft alone can print is refused",
  async () => {
    const before = await server.dump();
    const log = vi.fn();
    fake("iptables-nft-save", "exit 1");
    agent = await startTestAgent(server, control, { log });
    control.issue(firewall(), 1);
    await waitUntil("the change to wait", PATIENCE_MS, () =>
      log.mock.calls.some(
        ([what, more]) => what === "change waits" && /iptables-nft-save/.test(more?.reason ?? ""),
      ),
    );
    fake("iptables-nft-save", `echo "# Table \\\`filter' is incompatible, use 'nft' tool."`);
    expect(await outcome(1)).toMatchObject({
      result: "refused",
      refusal: { reason: expect.stringContaining("only nft can print") },
    });
    expect(await server.dump()).toBe(before);
  },
  PATIENCE_MS,
);

test(
  "an xtables lock that another holds is waited for, and the change goes on when it is free",
  async () => {
    agent = await startTestAgent(server, control, { backend: "legacy" });
    const holder = server.at.spawn("flock", ["--no-fork", `${server.env.XTABLES_LOCKFILE}`, "cat"]);
    const held = new Promise<void>((resolve) => holder.onLine(() => resolve()));
    holder.write("held\n");
    await held;
    control.issue({ ...firewall(), deadlineMs: 10 * 60_000 }, 1);
    await waitUntil("the change to begin", PATIENCE_MS, () => agent?.status().state === "applying");
    await waitUntil("sets, which need no lock", PATIENCE_MS, async () =>
      (await server.sh("ipset list -n")).includes("sl-web-office-hn4"),
    );
    expect(control.outcomes()).toEqual([]);
    holder.kill();
    expect(await outcome(1)).toMatchObject({ result: "confirmed" });
    expect(await server.dump("legacy")).toContain("--dport 22");
  },
  PATIENCE_MS,
);

test(
  "a tc, and an ipset, that say nothing and do nothing aren't believed",
  async () => {
    const before = await server.dump();
    fake("ipset", '[ "$1" = restore ] && exec cat >/dev/null\nexec $real "$@"');
    agent = await startTestAgent(server, control);
    control.issue(firewall(), 1);
    expect(await outcome(1)).toMatchObject({ result: "reverted" });
    expect(await server.dump()).toBe(before);
    rmSync(`${bin}/ipset`);
    fake("tc", '[ "$1" = -batch ] && exec cat >/dev/null\nexec $real "$@"');
    control.issue(firewall({ port: 24 }), 2);
    expect(await outcome(2)).toMatchObject({
      result: "reverted",
      refusal: { step: "verify", reason: expect.stringContaining("eth0/qdisc/1:") },
    });
    expect(await server.dump()).toBe(before);
  },
  PATIENCE_MS,
);

test(
  "a set that rules have filled up to its maxelem: a change that doesn't fit in is undone, what stood stands",
  async () => {
    const [own] = firewall().sets;
    if (own === undefined) throw new Error("no set");
    const holding = (...entries: string[]) => ({
      ...firewall(),
      sets: [{ ...own, options: ["timeout", "600", "maxelem", "4"], entries }],
    });
    agent = await startTestAgent(server, control);
    control.issue(holding("192.0.2.0/24"), 1);
    expect(await outcome(1)).toMatchObject({ result: "confirmed" });
    await server.sh(`for n in 1 2 3; do ipset add ${own.name} 203.0.113.$n; done`);
    control.issue(holding("192.0.2.0/24", "198.51.100.0/24"), 2);
    expect(await outcome(2)).toMatchObject({
      result: "reverted",
      refusal: { step: "apply", reason: expect.stringContaining("Hash is full") },
    });
    const stands = await server.sh(`ipset list ${own.name}`);
    expect(stands.match(/^[\d./]+ /gm)?.toSorted()).toEqual([
      "192.0.2.0/24 ",
      "203.0.113.1 ",
      "203.0.113.2 ",
      "203.0.113.3 ",
    ]);
    await server.sh(`ipset del ${own.name} 203.0.113.1`);
    control.issue(holding("192.0.2.0/24", "198.51.100.0/24"), 3);
    expect(await outcome(3)).toMatchObject({ result: "confirmed" });
  },
  PATIENCE_MS,
);

/** Every tool there is but this one. */
function withoutTool(missing: string): void {
  for (const folder of SYSTEM_FOLDERS)
    for (const tool of readdirSync(folder))
      if (tool !== missing) {
        try {
          symlinkSync(`${folder}/${tool}`, `${bin}/${tool}`);
        } catch {
          // it is in more than one of them
        }
      }
  server.env.PATH = bin;
}

function linkTool(tool: string): void {
  symlinkSync(`/usr/sbin/${tool}`, `${bin}/${tool}`);
}
