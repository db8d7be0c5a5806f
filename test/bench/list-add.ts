import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectNats, createInbox } from "@nats-io/transport-node";
import { createFeed, type Feed } from "@sluice/agents/exec/child";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { connect } from "@sluice/db/connect";
import type { Bench } from "./bench.ts";
import { blockList, serverNamespaces, startBenchLab } from "./bench-lab.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { startNatsPeers } from "./nats-peers.ts";

const LIST = "bench";
const ENTRIES = 10_000;
const POLL_MS = 1;
const LATE_MS = 10_000;

export const listAdd: Bench = {
  name: "list-add",
  what: "one address added to a list of 10,000 through the API until the kernels of four servers have it, against one row and one message",
  runs: 50,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const lab = await startBenchLab(context, owner);
    const set = await blockList(lab, LIST, ENTRIES);
    const feeds = serverNamespaces(lab).map(watchSets);
    owner.defer(async () => void (await Promise.all(feeds.map((feed) => feed.retire()))));

    const peers = await startNatsPeers(feeds.length, [], owner);
    const nats = await connectNats({ servers: peers.url });
    owner.defer(() => nats.close());
    const database = owner.use(
      await connect(lab.postgres.url, { schema: `bench_${randomUUID().slice(0, 8)}`, max: 1 }),
    );
    const { sql } = database;
    await sql`create schema ${sql(database.schema)}`;
    owner.defer(async () => void (await sql`drop schema ${sql(database.schema)} cascade`));
    await sql`create table bare (id bigint generated always as identity primary key, body text not null)`;

    context.progress(`${context.runs + 1} additions`);
    const answered: number[] = [];
    let added = 0;
    const times = await inTurn(context, {
      everywhere: async () => {
        const address = `203.0.${113 + (added >> 8)}.${added & 255}`;
        added++;
        const begun = performance.now();
        const [everywhereMs, answeredMs] = await Promise.all([
          untilInAll(feeds, set, address).then(() => performance.now() - begun),
          lab.client.lists.change
            .mutate({ list: LIST, add: [address], reason: "" })
            .then(() => performance.now() - begun),
        ]);
        answered.push(answeredMs);
        return everywhereMs;
      },
      insert: () => timeMs(() => sql`insert into bare (body) values (${"x".repeat(600)})`),
      ask: () =>
        timeMs(async () => {
          const inbox = createInbox();
          const replies = nats.subscribe(inbox, { max: feeds.length });
          nats.publish("bench.ask", "x".repeat(600), { reply: inbox });
          for await (const _ of replies);
        }),
    });
    const floor = times.insert.map((ms, index) => ms + (times.ask[index] ?? Number.NaN));
    return {
      rows: [
        row("API called → in the kernel of all four", "ms", times.everywhere),
        row("API called → API answered", "ms", answered.slice(1)),
        row("bare: one row into Postgres", "ms", times.insert),
        row("bare: NATS request, four replies", "ms", times.ask),
      ],
      ratios: [ratio("all four kernels / (one row + four replies)", times.everywhere, floor, { atMost: 10 })],
      notes: [
        `the kernels are asked through an \`ipset\` that stays, one after the other, every ${POLL_MS} ms`,
        "in between: HTTP, the decision, its event with hash chain, the signed delta over JetStream, the agents' check of it",
        "lab, control, broker, database and four agents share the cores of one machine",
      ],
    };
  },
};

/** An `ipset` to be asked with `test`; it answers yes and no alike on stderr. */
function watchSets(at: Namespace): Feed {
  return createFeed(at, {
    command: "ipset",
    args: ["-"],
    mark: (n) => `create sluice sluice:mark-${n}\n`,
    isMark: (line, n) => line.includes(`typename 'sluice:mark-${n}'`),
    refusesBy: "stderr",
  });
}

async function untilInAll(feeds: readonly Feed[], set: string, address: string): Promise<void> {
  const deadline = performance.now() + LATE_MS;
  for (const feed of feeds) {
    while (!(await holds(feed, set, address))) {
      if (performance.now() > deadline) throw new Error(`${address} didn't come within ${LATE_MS} ms`);
      await delay(POLL_MS);
    }
  }
}

async function holds(feed: Feed, set: string, address: string): Promise<boolean> {
  const result = await feed.send(`test ${set} ${address}`);
  const said = result.ok ? "" : result.lines.join("; ");
  if (said.includes(`${address} is in set ${set}.`)) return true;
  if (said.includes(`${address} is NOT in set ${set}.`)) return false;
  throw new Error(`ipset can't tell: ${said || "no word"}`);
}
