import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createIpsetDriver } from "@sluice/agents/drivers/ipset/driver";
import { iptablesTool } from "@sluice/agents/drivers/iptables/tools";
import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { createFabric } from "@sluice/infra/net/fabric";
import { type Station, startStation } from "@sluice/infra/packets/station";
import type { Bench, Row } from "./bench.ts";
import { drawChart, type Line } from "./chart.ts";
import { quantile, ratio, row, spread } from "./figures.ts";
import { inTurn } from "./in-turn.ts";
import { raw } from "./raw.ts";
import { addresses, NOTHING, setOf } from "./workload.ts";

const BLOCKED = [0, 1_000, 5_000, 10_000, 30_000];
const PAGE_BYTES = 10 * 1024;
const PORT = 8_080;
const ROUNDS = 5;
/** of the pages of a round: others on the machine can make one slower, and none faster */
const UNDISTURBED = 0.1;
const CHART = new URL("../../docs/mass-block.svg", import.meta.url);
const WAYS = ["rules, nft", "rules, legacy", "list"] as const;
type Way = (typeof WAYS)[number];
const MOMENTS = ["connect", "first byte", "complete"] as const;
type Moment = (typeof MOMENTS)[number];
type Times = Record<Moment, number[]>;

export const massBlock: Bench = {
  name: "mass-block",
  what: "a page of 10 KiB, each time over a new connection, while so many addresses are blocked that the client isn't among: as rules, and as a list",
  runs: 30,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const fabric = owner.use(await createFabric({ servers: 1, others: ["client"], offload: true }));
    const server = fabric.host("server-1");
    const serving = owner.use(await startStation(server.namespace));
    const client = owner.use(await startStation(fabric.host("client").namespace));
    owner.use(await serving.listen(PORT, { kind: "http", bytes: PAGE_BYTES }));
    const at = namedNamespace(server.namespace);
    const url = `http://${server.ipv4}:${PORT}/`;

    const measured = new Map(WAYS.map((way) => [way, BLOCKED.map(noTimes)]));
    for (let round = 1; round <= ROUNDS; round++) {
      for (const [index, blocked] of BLOCKED.entries()) {
        context.progress(`round ${round} of ${ROUNDS}: ${blocked.toLocaleString("en-US")} blocked`);
        for (const way of WAYS) {
          const free = await block(at, way, blocked);
          const seen = noTimes();
          await inTurn(context, { page: () => fetchPage(client, url, seen) });
          await free();
          // the first of them didn't count
          for (const moment of MOMENTS)
            measured.get(way)?.[index]?.[moment].push(quantile(seen[moment].slice(1), UNDISTURBED));
        }
      }
    }

    const rows: Row[] = [];
    for (const [way, times] of measured)
      for (const [index, one] of times.entries())
        rows.push(
          row(`${way}: ${BLOCKED[index]?.toLocaleString("en-US")} blocked, complete`, "ms", one.complete),
        );
    const lists = measured.get("list") ?? [];
    const [none, most] = [lists[0]?.complete ?? [], lists.at(-1)?.complete ?? []];
    await writeFile(CHART, chartOf(measured));
    return {
      rows,
      ratios: [ratio("list: 30,000 blocked / none", most, none, { atMost: 1.25 })],
      notes: [
        `drawn in ${fileURLToPath(CHART).split("/").slice(-2).join("/")}: medians of ${ROUNDS} rounds, in each the time within which the fastest tenth of ${context.runs} pages came`,
        "rules: one DROP a source address in INPUT; list: one rule in raw PREROUTING that looks into a set; no packet matches either",
        "client and server are namespaces on one bridge; each page is a new TCP connection",
      ],
    };
  },
};

function noTimes(): Times {
  return { connect: [], "first byte": [], complete: [] };
}

async function fetchPage(client: Station, url: string, seen: Times): Promise<number> {
  const page = await client.download({ url, seconds: 10 });
  if (page.outcome !== "complete" || page.bytes !== PAGE_BYTES)
    throw new Error(`the page didn't come: ${page.reason ?? page.outcome}`);
  seen.connect.push(page.connectMs);
  seen["first byte"].push(page.firstByteMs);
  seen.complete.push(page.totalMs);
  return page.totalMs;
}

/** Returns what takes it away again. */
async function block(at: Namespace, way: Way, blocked: number): Promise<() => Promise<unknown>> {
  if (way !== "list") {
    const backend = way === "rules, nft" ? "nft" : "legacy";
    const tool = iptablesTool(backend, 4);
    const rules = addresses(blocked).map((address) => `-A INPUT -s ${address} -j DROP\n`);
    await raw(at, iptablesTool(backend, 4, "restore"), ["--noflush"], `*filter\n${rules.join("")}COMMIT\n`);
    return () => raw(at, tool, ["-F", "INPUT"]);
  }
  const tool = iptablesTool("nft", 4);
  const driver = createIpsetDriver();
  const set = setOf(blocked, "list");
  const { build } = driver.render({ ...NOTHING, sets: [set] }, undefined, { sets: new Map() });
  for (const script of build) await driver.write(at, script);
  const rule = ["-m", "set", "--match-set", set.name, "src", "-j", "DROP"];
  await raw(at, tool, ["-t", "raw", "-A", "PREROUTING", ...rule]);
  return async () => {
    await raw(at, tool, ["-t", "raw", "-F", "PREROUTING"]);
    await driver.write(at, {
      driver: "ipset",
      what: "take away",
      tool: "ipset",
      text: `destroy ${set.name}\n`,
    });
    await driver.close(at);
  };
}

function chartOf(measured: ReadonlyMap<Way, readonly Times[]>): string {
  const panels = MOMENTS.map((moment) => ({
    title: moment,
    lines: [...measured].map(
      ([way, times]): Line => ({
        name: way,
        points: times.map((one, index) => ({ x: BLOCKED[index] ?? 0, y: spread(one[moment]).median })),
      }),
    ),
  }));
  return drawChart({
    title: "A page of 10 KiB while so many addresses are blocked, in milliseconds",
    xLabel: "blocked addresses",
    panels,
  });
}
