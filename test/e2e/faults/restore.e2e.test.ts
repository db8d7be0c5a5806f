import { rm } from "node:fs/promises";
import { randomIds } from "@sluice/control/context/ids";
import { openEpoch } from "@sluice/control/start/epoch";
import { connect } from "@sluice/db/connect";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { execIn } from "@sluice/infra/net/namespace";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyPolicy, rollOut } from "../lab.ts";
import { copyFolder, takeBaseBackup } from "./base-backup.ts";
import { doorPolicy, isShut, knock } from "./door.ts";
import {
  controlAnswers,
  crashControl,
  dataOf,
  logHolds,
  lookIntoBroker,
  readLog,
  startFaultLab,
  streamEqualsLog,
} from "./fault-lab.ts";

/** The database is lost with all that came since its last backup, and the broker with all it stored. */
const SERVERS = ["server-1", "server-2"];
const WAVES = SERVERS.map((server) => [server]);

let lab: Lab;
beforeAll(async () => {
  lab = await startFaultLab(2);
  await lab.client.lists.create.mutate({ list: "bans" });
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.1"] });
  await applyPolicy(lab, doorPolicy(lab, { shut: 80 }));
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function lists(address: string): Promise<boolean[]> {
  return await Promise.all(
    lab.fabric.servers.map(async ({ namespace }) =>
      (await execIn(namespace, "ipset", ["save"])).includes(address),
    ),
  );
}

/** Waits for a whole pulse of each agent after control is back. */
async function untilAllIs(shut: number): Promise<void> {
  for (const server of SERVERS) await isShut(lab, server, shut);
}

test("restored from a backup, with NATS gone: every server goes on enforcing what it holds, and nothing is undone by itself", async () => {
  const backup = `${lab.folder}/backup`;
  const dataDir = await takeBaseBackup(lab.postgres.url, backup);
  await applyPolicy(lab, doorPolicy(lab, { shut: 9000 }));
  expect(await rollOut(lab, "door", { waves: WAVES })).toMatchObject({ state: "completed" });
  await lab.client.lists.change.mutate({ list: "bans", add: ["198.51.100.2"] });
  await waitUntil("the second ban", 60_000, async () => (await lists("198.51.100.2")).every(Boolean));

  await crashControl(lab);
  await lab.nats.down({ crash: true });
  await lab.postgres.down({ crash: true });
  await rm(lab.nats.storeDir ?? "", { recursive: true });
  await rm(dataDir, { recursive: true });
  await copyFolder(backup, dataDir);
  await untilAllIs(9000);
  await lab.postgres.up();
  {
    await using database = await connect(lab.postgres.url, { max: 2 });
    const clock = { now: () => new Date() };
    const why = { actor: "ada", reason: "the disk of the database died" };
    expect(await openEpoch(database, { ...why, clock, ids: randomIds })).toBe(2);
  }
  await lab.nats.up();
  lab.control.start();
  await controlAnswers(lab);
  await untilAllIs(9000);
  for (const server of SERVERS) expect(await knock(lab, server, 80)).toBe("accepted");
  expect(await lab.client.fleet.show.query()).toMatchObject({ frozen: true });
  expect(await logHolds(lab)).toBe(true);
});

test("the streams are filled again from the log, and lists are what the restored log says", async () => {
  await using broker = await lookIntoBroker(lab);
  await streamEqualsLog(lab, broker);
  await waitUntil("the lists of the backup", 30_000, async () => {
    const [kept, lost] = [await lists("198.51.100.1"), await lists("198.51.100.2")];
    return kept.every(Boolean) && !lost.some(Boolean);
  });
});

test("once it is thawed a rollout reaches every server, though they had later generations before", async () => {
  await lab.client.fleet.thaw.mutate({ reason: "looked at" });
  await applyPolicy(lab, doorPolicy(lab, { shut: 8443 }));
  expect(await rollOut(lab, "door", { waves: WAVES })).toMatchObject({ state: "completed" });
  await untilAllIs(8443);
  for (const server of SERVERS) expect(await knock(lab, server, 9000)).toBe("accepted");
  const epochs = dataOf(await readLog(lab), "AssignmentDecided").map(({ epoch }) => epoch);
  expect(epochs.at(0)).toBe(1);
  expect(epochs.at(-1)).toBe(2);
  expect(await logHolds(lab)).toBe(true);
});
