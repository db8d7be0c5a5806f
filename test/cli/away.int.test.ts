import type { Lab } from "@sluice/infra/lab/start-lab";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { planView } from "@sluice/proto/api/plans";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestLab } from "../e2e/lab.ts";
import { doorPolicy } from "./policies.ts";
import { openSluice, type Sluice } from "./sluice.ts";

/** Watching what takes long, with control or the watcher going away. */
let lab: Lab;
let sluice: Sluice;

beforeAll(async () => {
  lab = await startTestLab(1);
  sluice = await openSluice(lab.context);
  await sluice.file("door.yaml", doorPolicy());
});
afterAll(async () => {
  await sluice?.[Symbol.asyncDispose]();
  await lab?.stop();
});

const plan = ["plan", "-f", "door.yaml", "--deadline", "60s", "--json"];

async function stopControl(): Promise<void> {
  lab.control.signal("SIGTERM");
  await lab.control.exited();
}

function begun(said: () => string): Promise<void> {
  return waitUntil("the plan", 60_000, async () => said().includes("1 server asked"));
}

test("130: Ctrl-C ends the watching, not the plan; the plan's id is said, and it can be watched again", async () => {
  lab.agent("server-1").signal("SIGSTOP");
  const { code, stdout, stderr } = await sluice.run(plan, {
    async meanwhile({ interrupt, said }) {
      await begun(said);
      interrupt();
    },
  });
  lab.agent("server-1").signal("SIGCONT");
  expect(code).toBe(130);
  const { plan: id, state } = planView.parse(JSON.parse(stdout));
  expect(state).toBe("running");
  expect(stderr).toContain(`sluice plan show ${id}`);
  expect(await sluice.json("plan show", [id])).toMatchObject({ state: "ok" });
});

test("a watch outlives control: it waits, says so, and ends with the plan", async () => {
  lab.agent("server-1").signal("SIGSTOP");
  const { code, stdout, stderr } = await sluice.run(plan, {
    async meanwhile({ said }) {
      await begun(said);
      await stopControl();
      await waitUntil("the watcher's notice", 30_000, async () => said().includes("control is away"));
      lab.control.start();
      await waitUntil("control", 60_000, async () => {
        return await lab.client.fleet.show.query().then(
          () => true,
          () => false,
        );
      });
      lab.agent("server-1").signal("SIGCONT");
    },
  });
  expect(code).toBe(0);
  expect(stderr).toMatch(/control is away; trying again\n(.*\n)*control is back\n/);
  expect(planView.parse(JSON.parse(stdout))).toMatchObject({ state: "ok" });
});

test("1: with control away, one sentence says so, where it was looked for, and what to look at", async () => {
  await stopControl();
  const { stderr, ...error } = await sluice.error(["server", "ls"], { code: 1 });
  expect(error).toMatchObject({ code: "UNAVAILABLE", message: expect.stringContaining(lab.context.url) });
  expect(stderr).toMatch(/^sluice: control at http\S+ can't be reached: .+\n {2}→ .+\n$/);
  expect((await sluice.run(["policy", "lint", "door.yaml"])).code).toBe(0);
});
