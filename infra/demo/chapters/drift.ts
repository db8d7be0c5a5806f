import { driftView } from "@sluice/proto/api/drift";
import { z } from "zod";
import { execIn } from "../../net/namespace.ts";
import { waitUntil } from "../../process/wait-until.ts";
import type { Stage } from "../stage.ts";

const PATIENCE_MS = 30_000;

interface Vandalism {
  server: string;
  command: readonly [string, ...string[]];
  /** part of the object that the drift must name */
  object: string;
  /** what shows that it stands again */
  mended(namespace: string): Promise<boolean>;
}

const VANDALISM: readonly Vandalism[] = [
  {
    server: "server-2",
    command: ["iptables", "-F", "SL-firewall-INPUT"],
    object: "SL-firewall-INPUT",
    mended: async (namespace) =>
      (await execIn(namespace, "iptables", ["-S", "SL-firewall-INPUT"])).includes("--dport 22"),
  },
  {
    server: "server-3",
    command: ["tc", "class", "del", "dev", "eth0", "classid", "1:10"],
    object: "1:10",
    mended: async (namespace) =>
      (await execIn(namespace, "tc", ["class", "show", "dev", "eth0"])).includes("htb 1:10 "),
  },
  {
    server: "server-4",
    command: ["ipset", "flush", "sl-l-blocklist-4"],
    object: "sl-l-blocklist-4",
    mended: async (namespace) =>
      (await execIn(namespace, "ipset", ["list", "-t", "sl-l-blocklist-4"])).includes("entries: 10000"),
  },
];

/** Somebody changes kernels by hand: it is seen, named and mended. */
export async function drift({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("Somebody flushes a chain, deletes a class, empties a set");
  const since = Date.now();
  for (const { server, command } of VANDALISM) {
    narrator.note(`on ${server}: ${command.join(" ")}`);
    const [tool, ...args] = command;
    await execIn(lab.fabric.host(server).namespace, tool, args);
  }
  for (const { server, object, mended } of VANDALISM) {
    const { namespace } = lab.fabric.host(server);
    await waitUntil(`${object} on ${server}`, PATIENCE_MS, () => mended(namespace));
    const rows = await reported(lab, server, object, since);
    const [row] = rows;
    const who =
      row?.by?.tool === undefined ? "who: this kernel doesn't tell" : `by ${row.by.tool} (pid ${row.by.pid})`;
    const took = row?.repairedMs === undefined ? "" : `, mended in ${row.repairedMs.toFixed(0)} ms`;
    narrator.claim(
      `${server}: ${object} stands again, and the drift is on record`,
      row?.action === "repaired",
      `${row?.action}${took}, ${who}`,
    );
  }
  await narrator.sluice("drift", "ls", "--all");
  const now = await narrator.sluice("drift", "ls");
  narrator.claim("nothing differs any more", now.code === 0, `exit ${now.code}`);
}

async function reported(lab: Stage["lab"], server: string, object: string, since: number) {
  let found: z.infer<typeof driftView>[] = [];
  await waitUntil(`the report of ${object}`, PATIENCE_MS, async () => {
    const rows = z.array(driftView).parse(await lab.client.drift.ls.query({ server, all: true }));
    found = rows.filter(
      (row) =>
        Date.parse(row.at) >= since - 1000 && row.differences.some((one) => one.object.includes(object)),
    );
    return found.length > 0;
  });
  return found;
}
