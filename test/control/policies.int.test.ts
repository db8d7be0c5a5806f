import { type PostgresServer, startPostgres } from "@sluice/infra/fixtures/postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { portPolicy, startWorld, type World } from "./world.ts";

let postgres: PostgresServer;
let world: World;

beforeAll(async () => {
  postgres = await startPostgres();
  world = await startWorld(postgres.url);
});

afterAll(async () => {
  await world?.stop();
  await postgres?.stop();
});

test("applying the same content again makes no revision", async () => {
  const text = portPolicy("same", 80);
  const first = await world.client.policies.revise.mutate({ files: [{ name: "a.yaml", text }] });
  expect(first.policies).toMatchObject([{ policy: "same", action: "created", revision: 1 }]);
  const again = await world.client.policies.revise.mutate({ files: [{ name: "a.yaml", text }] });
  expect(again.policies).toMatchObject([{ policy: "same", action: "unchanged", revision: 1 }]);
  const changed = await world.client.policies.revise.mutate({
    files: [{ name: "a.yaml", text: portPolicy("same", 81) }],
  });
  expect(changed.policies).toMatchObject([{ action: "revised", revision: 2 }]);
});

test("one bad file among many stores nothing, and names its line", async () => {
  const files = [
    { name: "good.yaml", text: portPolicy("good", 80) },
    { name: "bad.yaml", text: `${portPolicy("bad", 80)}colour: red\n` },
  ];
  await expect(world.client.policies.revise.mutate({ files })).rejects.toMatchObject({
    data: { sluice: { code: "INVALID", problems: [{ place: { file: "bad.yaml", line: 7 } }] } },
  });
  const names = (await world.client.policies.ls.query()).map(({ policy }) => policy);
  expect(names).not.toContain("good");
  expect(names).not.toContain("bad");
});

test("two files with one policy's name are refused", async () => {
  const files = [
    { name: "a.yaml", text: portPolicy("twin", 80) },
    { name: "b.yaml", text: portPolicy("twin", 81) },
  ];
  await expect(world.client.policies.revise.mutate({ files })).rejects.toMatchObject({
    data: { sluice: { code: "INVALID", problems: [{ place: { file: "b.yaml" } }] } },
  });
});

test("a dry run says what would be done, and does nothing", async () => {
  const input = { files: [{ name: "n.yaml", text: portPolicy("new", 80) }], prune: true, dryRun: true };
  const view = await world.client.policies.revise.mutate(input);
  expect(view.policies).toMatchObject([{ policy: "new", action: "created", revision: 1 }]);
  expect(view.retired).toContain("same");
  const names = (await world.client.policies.ls.query()).map(({ policy }) => policy);
  expect(names).toContain("same");
  expect(names).not.toContain("new");
});

test("the diff of two revisions is the changed line", async () => {
  const { diff, from, to } = await world.client.policies.diff.query({ policy: "same" });
  expect([from, to]).toEqual([1, 2]);
  const lines = diff.split("\n").filter((line) => /^[+-]/.test(line));
  expect(lines).toEqual([
    "--- same@1",
    "+++ same@2",
    "-      - -p tcp --dport 80 -j DROP",
    "+      - -p tcp --dport 81 -j DROP",
  ]);
});

test("lint names a list that isn't there, and stores nothing", async () => {
  const text = `${portPolicy("blocking", 80)}blocks: [ nowhere ]\n`;
  const view = await world.client.policies.lint.mutate({ files: [{ name: "l.yaml", text }] });
  expect(view).toMatchObject({
    ok: false,
    files: [{ policy: "blocking", problems: [{ found: "nowhere", place: { line: 7 } }] }],
  });
});

test("a policy that a server is assigned is not retired; one that none is, is, and comes back with its next revision", async () => {
  await world.apply(portPolicy("held", 90));
  await world.join("holder", { role: "web" });
  const { rollout } = await world.client.rollouts.start.mutate({ policy: "held" });
  await world.outcome("holder", 1, "confirmed");
  await world.rolledOut(rollout);
  await expect(world.client.policies.retire.mutate({ policy: "held" })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("holder") } },
  });
  await world.client.policies.retire.mutate({ policy: "same" });
  expect((await world.client.policies.ls.query()).map(({ policy }) => policy)).not.toContain("same");
  expect(await world.apply(portPolicy("same", 81))).toBe(3);
});

test("prune refuses all of it where one policy is still held, before anything is stored", async () => {
  const files = [{ name: "x.yaml", text: portPolicy("fresh", 80) }];
  await expect(world.client.policies.revise.mutate({ files, prune: true })).rejects.toMatchObject({
    data: { sluice: { code: "REFUSED", message: expect.stringContaining("held (holder)") } },
  });
  expect((await world.client.policies.ls.query()).map(({ policy }) => policy)).not.toContain("fresh");
});

test("many at once on one policy each get a revision of their own", async () => {
  const ports = Array.from({ length: 8 }, (_, index) => 1_000 + index);
  const revisions = await Promise.all(ports.map((port) => world.apply(portPolicy("busy", port))));
  expect(revisions.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});

test("a call without a token, or with too small a role, changes nothing", async () => {
  const { token } = await world.client.tokens.create.mutate({ name: "looker", role: "viewer" });
  const looker = world.as(token);
  expect(await looker.tokens.whoAmI.query()).toEqual({ actor: "looker", role: "viewer" });
  await expect(looker.fleet.freeze.mutate({})).rejects.toMatchObject({ data: { code: "FORBIDDEN" } });
  await expect(world.as("wrong").policies.ls.query()).rejects.toMatchObject({
    data: { code: "UNAUTHORIZED", sluice: { code: "UNAUTHENTICATED" } },
  });
  expect((await world.client.fleet.show.query()).frozen).toBe(false);
});

test("who asks for something else is heard while many large files are read", async () => {
  const rules = "      - -j NOPE1x\n".repeat(4_000);
  const text = `policy: large\ntargets: { servers: ["*"] }\nfirewall:\n  filter:\n    INPUT:\n${rules}`;
  const files = Array.from({ length: 30 }, (_, n) => ({ name: `${n}.yaml`, text }));
  let isDone = false;
  const linting = world.client.policies.lint.mutate({ files }).then(({ ok }) => {
    isDone = true;
    return ok;
  });
  let heard = 0;
  while (!isDone) {
    await world.client.fleet.show.query();
    heard += 1;
  }
  expect(await linting).toBe(false);
  expect(heard).toBeGreaterThan(4);
});
