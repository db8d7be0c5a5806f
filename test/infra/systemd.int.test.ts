import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { tryCommand } from "@sluice/infra/process/run-command";
import { expect, test } from "vitest";

const FOLDER = fileURLToPath(new URL("../../infra/systemd/", import.meta.url));
const UNITS = readdirSync(FOLDER).filter((name) => name.endsWith(".service"));

function settingsOf(unit: string): string[] {
  return readFileSync(`${FOLDER}${unit}`, "utf8").split("\n");
}

test("systemd takes every unit without a complaint, but for the bundle that isn't installed here", async () => {
  const { stderr } = await tryCommand("systemd-analyze", ["verify", ...UNITS.map((unit) => FOLDER + unit)]);
  const ours = stderr.split("\n").filter((line) => line.includes("sluice"));
  expect(ours.filter((line) => !line.includes("sluice-agent.mjs is not executable"))).toEqual([]);
});

test("the boot comes after whoever else fills the tables, and before the network", () => {
  const settings = settingsOf("sluice-boot.service");
  for (const other of ["nftables", "netfilter-persistent", "ufw", "firewalld"])
    expect(settings.find((line) => line.startsWith("After="))).toContain(`${other}.service`);
  expect(settings.find((line) => line.startsWith("Before="))).toContain("network-pre.target");
  expect(settings).toContain("ExecStart=/bin/sh /var/lib/sluice/held/undo.sh boot /var/lib/sluice/held");
});
