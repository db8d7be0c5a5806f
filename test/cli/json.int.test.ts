import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CommandName, VIEWS } from "@sluice/cli/views";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestLab } from "../e2e/lab.ts";
import { doorPolicy } from "./policies.ts";
import { openSluice, type Sluice } from "./sluice.ts";

/**
 * Every command with `--json`, on a real lab: one line, of exactly the documented shape. The tests go on from each
 * other, as a day with one server does.
 */
let lab: Lab;
let sluice: Sluice;
const tried = new Set<CommandName>();

beforeAll(async () => {
  lab = await startTestLab(1);
  const opened = await openSluice(lab.context);
  sluice = {
    ...opened,
    json(command, ...rest) {
      tried.add(command);
      return opened.json(command, ...rest);
    },
  };
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await lab?.stop();
});

test("where there is nothing, what lists is an empty list", async () => {
  const empty = ["policy ls", "plan ls", "rollout ls", "drift ls", "list ls"] as const;
  expect(await Promise.all(empty.map((command) => sluice.json(command)))).toEqual(empty.map(() => []));
});

test("servers and the fleet", async () => {
  expect(await sluice.json("status")).toMatchObject({ frozen: false, servers: 1, connected: 1 });
  expect(await sluice.json("server ls", ["--label", "site=lab"])).toMatchObject([
    { server: "server-1", state: "empty" },
  ]);
  expect(await sluice.json("server ls", ["--label", "site=elsewhere"])).toEqual([]);
  expect(await sluice.json("server label", ["server-1", "role=web"])).toMatchObject({
    labels: { site: "lab", role: "web" },
  });
  expect((await sluice.json("server show", ["server-1"])).facts?.devices.map(({ name }) => name)).toContain(
    "eth0",
  );
  const added = await sluice.json("server add", ["web-9", "--label", "role=spare"]);
  const again = await sluice.json("server add", ["web-9", "--again"]);
  expect(again.token).not.toBe(added.token);
  expect(await sluice.json("freeze", ["--reason", "incident"])).toMatchObject({
    frozen: true,
    decided: { actor: "admin", reason: "incident" },
  });
  expect(await sluice.json("thaw")).toMatchObject({ frozen: false });
});

test("a new server: people get the line to run on it, with control's address and the token", async () => {
  const { stdout } = await sluice.run(["server", "add", "web-10"]);
  expect(stdout).toMatch(
    new RegExp(`^ {2}sluice-agent run --control ${lab.context.url} --join \\S{32}$`, "m"),
  );
});

test("import", async () => {
  expect(await sluice.json("import", ["--server", "server-1", "--policy", "found"])).toMatchObject({
    ...{ server: "server-1", policy: "found", text: expect.stringContaining("mode: imported") },
    left: expect.any(Array),
  });
});

test("adopt", async () => {
  const { text } = await sluice.json("import", ["--server", "server-1", "--policy", "found"]);
  await sluice.json("policy apply", ["-f", await sluice.file("found.yaml", text)]);
  expect(await sluice.json("adopt", ["found", "--reason", "ours now"])).toMatchObject({
    ...{ policy: "found", state: "completed" },
  });
  await sluice.json("rollout start", ["found", "--remove"]);
  await sluice.json("policy retire", ["found"]);
});

test("policies", async () => {
  const file = await sluice.file("door.yaml", doorPolicy());
  expect(await sluice.json("policy lint", [file])).toEqual({
    ok: true,
    files: [{ file, policy: "door", problems: [] }],
  });
  expect(await sluice.json("test", [file])).toEqual({
    ok: true,
    files: [{ file, policy: "door", problems: [], tests: [] }],
  });
  expect(await sluice.json("policy apply", ["-f", file, "--reason", "first"])).toMatchObject({
    policies: [{ policy: "door", action: "created", revision: 1 }],
  });
  await sluice.file("door.yaml", doorPolicy("22,80,443"));
  await sluice.json("policy apply", ["-f", file, "--reason", "open 443"]);
  expect(await sluice.json("policy history", ["door"])).toMatchObject([
    { revision: 2, revised: { reason: "open 443" } },
    { revision: 1, revised: { reason: "first" } },
  ]);
  expect((await sluice.json("policy diff", ["door"])).diff).toContain(
    "+      - -p tcp -m multiport --dports 22,80,443",
  );
  expect(await sluice.json("policy show", ["door", "--revision", "1"])).toMatchObject({
    revision: 1,
    latest: 2,
    text: doorPolicy(),
  });
  await sluice.file("spare.yaml", "policy: spare\ntargets: { servers: [nobody] }\n");
  await sluice.json("policy apply", ["spare.yaml"]);
  expect(await sluice.json("policy ls")).toMatchObject([{ policy: "door" }, { policy: "spare" }]);
  expect(await sluice.json("policy retire", ["spare"])).toEqual({ policy: "spare", revision: 1 });
});

test("plans, rollouts and a rollback", async () => {
  const only = ["--server", "server-1"];
  const plan = await sluice.json("plan", ["door", ...only]);
  expect(plan).toMatchObject({ state: "ok", revision: 2, answers: [{ server: "server-1", state: "ok" }] });
  expect(await sluice.json("plan show", [plan.plan])).toEqual(plan);
  expect(await sluice.json("plan ls")).toMatchObject([{ plan: plan.plan, servers: 1, answered: 1 }]);

  const first = await sluice.json("rollout start", ["door", "--revision", "1", "--wave", "server-1"]);
  expect(first).toMatchObject({ state: "completed", confirmed: 1, inNoWave: ["web-10", "web-9"] });
  // the plan was of what the server is to hold now, and still is
  const byHand = ["--by-hand", "2m", "--detach"];
  const { rollout } = await sluice.json("rollout start", ["door", "--plan", plan.plan, ...byHand, ...only]);
  await waitUntil("the server's proof", 60_000, async () => {
    const { servers } = await lab.client.rollouts.show.query({ rollout });
    return servers.every(({ state }) => state === "proven");
  });
  expect(await sluice.json("rollout confirm", [rollout])).toMatchObject({ rollout });
  expect(await sluice.json("rollout watch", [rollout])).toMatchObject({
    rollout,
    state: "completed",
    revision: 2,
  });
  expect(await sluice.json("rollout show", [rollout])).toMatchObject({
    servers: [{ before: 1, state: "confirmed" }],
  });
  const { rules } = await sluice.json("policy hits", ["door", "--now", "--server", "server-1"]);
  expect(rules.every(({ servers }) => servers === 1)).toBe(true);
  expect(await sluice.json("rollback", ["door", "--reason", "pages are slow"])).toMatchObject({
    kind: "rollback",
    revision: 1,
    state: "completed",
  });
  expect(await sluice.json("rollout ls", ["--policy", "door"])).toMatchObject([
    { kind: "rollback", started: { reason: "pages are slow" } },
    { rollout },
    { rollout: first.rollout },
  ]);
});

test("drift: seen, repaired, looked up", async () => {
  const flush = ["-F", "SL-door-INPUT"];
  await execIn(lab.fabric.host("server-1").namespace, "iptables", flush);
  await waitUntil(
    "the repair",
    60_000,
    async () => (await lab.client.drift.ls.query({ all: true })).length > 0,
  );
  const [seen] = await sluice.json("drift ls", ["--all"]);
  expect(seen).toMatchObject({ server: "server-1", action: "repaired", current: false });
  expect(seen?.differences[0]).toMatchObject({ object: "ip4/filter/SL-door-INPUT", kind: "changed" });
  expect(await sluice.json("drift show", ["server-1"])).toMatchObject({
    asked: { ok: true, differences: [] },
  });
  expect(await sluice.json("drift repair", ["server-1"])).toMatchObject({ differences: [] });
});

test("lists", async () => {
  expect(await sluice.json("list create", ["bans", "--family", "4"])).toMatchObject({
    rev: 0,
    families: [4],
  });
  expect(
    await sluice.json("list add", ["bans", "203.0.113.7", "198.51.100.0/24", "--for", "1h"]),
  ).toMatchObject({
    rev: 1,
    added: 2,
    entries: 2,
    until: expect.any(String),
  });
  expect(await sluice.json("list rm", ["bans", "203.0.113.7", "192.0.2.1"])).toMatchObject({
    removed: 1,
    unchanged: 1,
    entries: 1,
  });
  expect(await sluice.json("list show", ["bans"])).toMatchObject({
    total: 1,
    entries: [{ entry: "198.51.100.0/24", until: expect.any(String) }],
  });
  expect(await sluice.json("list ls")).toMatchObject([{ list: "bans", rev: 2, usedBy: [] }]);
  expect(await sluice.json("list retire", ["bans"])).toEqual({ list: "bans" });
});

test("readers of the feed", async () => {
  const { credentials } = await sluice.json("feed add", ["billing", "--new", "--only", "RolloutHalted"]);
  expect(credentials).toContain("BEGIN NATS USER JWT");
  expect(await sluice.json("feed ls")).toMatchObject([{ reader: "billing", only: "RolloutHalted" }]);
  expect(await sluice.json("feed rm", ["billing"])).toMatchObject({ reader: "billing", inEffect: true });
});

test("tokens", async () => {
  const { token } = await sluice.json("token create", ["grafana", "--role", "viewer"]);
  expect(await sluice.json("server ls", [], { token })).toHaveLength(3);
  expect(await sluice.json("token ls")).toMatchObject([
    { name: "admin" },
    { name: "grafana", role: "viewer" },
  ]);
  expect(await sluice.json("token rm", ["grafana"])).toMatchObject({ name: "grafana" });
  expect((await sluice.error(["server", "ls"], { token })).code).toBe("UNAUTHENTICATED");
});

test("the history's answers: a timeline, a difference, a policy's lines, and why a rule stands there", async () => {
  const { events } = await sluice.json("audit log", ["--policy", "door", "--type", "PolicyRevised"]);
  const second = events.at(-2)?.at ?? "";
  const [first] = (await sluice.json("audit timeline", ["server-1", "--limit", "1000"])).entries.slice(-1);
  expect(first).toMatchObject({ kind: "server", what: "server-1 was added" });
  const diff = await sluice.json("audit diff", [first?.at ?? "", second, "--policy", "door"]);
  expect(diff).toMatchObject({ policy: { policy: "door", to: 2 } });
  const { lines } = await sluice.json("policy blame", ["door"]);
  expect(lines.some(({ text, revision }) => text.includes("--ctstate") && revision === 1)).toBe(true);
  const rule = lines.find(({ text }) => text.includes("--ctstate"))?.text.replace(/^ *- /, "") ?? "";
  const why = ["--server", "server-1", "--rule", rule];
  expect(await sluice.json("audit why", why)).toMatchObject({ policy: "door", since: { revision: 1 } });
});

test("the audit history: filtered, paged, as of a time, and proven whole", async () => {
  const all = await sluice.json("audit log", ["--policy", "door"]);
  const revised = await sluice.json("audit log", [
    "--policy",
    "door",
    "--type",
    "PolicyRevised",
    "--text",
    "OPEN 443",
  ]);
  expect(revised.events).toMatchObject([{ actor: "admin", reason: "open 443", data: { revision: 2 } }]);
  const at = revised.events[0]?.at ?? "";
  const until = await sluice.json("audit log", ["--policy", "door", "--until", at]);
  const since = await sluice.json("audit log", ["--policy", "door", "--since", at]);
  const seqs = ({ events }: typeof all) => events.map(({ seq }) => seq);
  expect(new Set([...seqs(since), ...seqs(until)])).toEqual(new Set(seqs(all)));
  expect(seqs(until).length).toBeLessThan(seqs(all).length);
  const page = await sluice.json("audit log", ["--policy", "door", "--limit", "2"]);
  const next = await sluice.json("audit log", [
    "--policy",
    "door",
    "--limit",
    "2",
    "--before",
    String(page.next),
  ]);
  expect([...seqs(page), ...seqs(next)]).toEqual(seqs(all).slice(0, 4));

  const confirmed = await sluice.json("audit log", ["--server", "server-1", "--type", "ServerConfirmed"]);
  const [, beforeRollback] = confirmed.events;
  expect(
    await sluice.json("audit at", ["--time", beforeRollback?.at ?? "", "--server", "server-1"]),
  ).toMatchObject({
    servers: [{ server: "server-1", confirmed: { assigned: [{ policy: "door", revision: 2 }] } }],
  });
  const { events } = await sluice.json("audit verify");
  const file = "log.ndjson";
  const exported = await sluice.json("audit export", ["--out", file]);
  expect(exported).toMatchObject({ file, events: expect.any(Number) });
  expect(exported.events).toBeGreaterThanOrEqual(events);
  const checked = await sluice.json("audit check", [file]);
  expect(checked).toMatchObject({ ok: true, events: exported.events, from: 1, pinned: false });
  const early = await sluice.error(["audit", "archive", "--to", "3", "--out", "first.ndjson", "--yes"]);
  expect(early).toMatchObject({ code: "REFUSED", message: expect.stringContaining("of the last day") });
  const nobody = await sluice.error(["audit", "erase", "nobody", "--yes", "--reason", "asked for"]);
  expect(nobody).toMatchObject({ code: "NOT_FOUND" });
  for (const command of ["audit archive", "audit erase"] as const) tried.add(command); // their views: test/control/archive.int.test.ts, where a day goes by
  const text = await readFile(join(sluice.folder, file), "utf8");
  await sluice.file(file, text.replace(`schemaVersion\\":1`, `schemaVersion\\":2`));
  const tampered = await sluice.json("audit check", [file], { code: 1 });
  expect(tampered.findings[0]).toMatchObject({ tampering: "edited", seq: 1 });
});

test("a packet explained: a foreign drop by its chain, a rule of ours by its line", async () => {
  const { namespace } = lab.fabric.host("server-1");
  const from = ["server-1", "--from", "203.0.113.9"];
  const rules = ["iptables -N f2b-sshd", "iptables -A f2b-sshd -s 203.0.113.9 -j DROP"];
  for (const rule of [...rules, "iptables -I INPUT -p tcp --dport 22 -j f2b-sshd"])
    await execIn(namespace, "sh", ["-c", rule]);
  expect(await sluice.json("explain", [...from, "--to", "tcp/22"])).toMatchObject({
    server: "server-1",
    verdict: "drop",
    decided: { chain: "ip4/filter/f2b-sshd", foreign: true },
    notCopied: [],
  });
  expect(await sluice.json("explain", [...from, "--to", "tcp/80"])).toMatchObject({
    verdict: "accept",
    decided: { foreign: false, origin: { policy: "door", revision: 1, line: 9 } },
  });
  const { stdout } = await sluice.run(["explain", ...from, "--to", "tcp/22"]);
  expect(stdout).toMatch(/^203\.0\.113\.9:50000 to \S+:tcp\/22 by eth0 on server-1: drop$/m);
  expect(stdout).toContain("  by ip4/filter/f2b-sshd: -s 203.0.113.9/32 -j DROP (not Sluice's)");
  expect(await sluice.error(["explain", "server-1", "--to", "ssh", "--from", "203.0.113.9"])).toMatchObject({
    code: "INVALID",
    problems: [{ path: "to", found: "ssh" }],
  });
  for (const undo of ["-D INPUT -p tcp --dport 22 -j f2b-sshd", "-F f2b-sshd", "-X f2b-sshd"])
    await execIn(namespace, "iptables", undo.split(" "));
});

test("every command was tried", () => {
  expect([...tried].sort()).toEqual(Object.keys(VIEWS).sort());
});
