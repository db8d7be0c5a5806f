import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
import type { SetLines } from "../lists/set-lines.ts";
import { createListGate } from "./list-gate.ts";

const SET = {
  name: "sl-l-bans-4",
  type: "hash:net",
  family: 4,
  options: [],
  entries: [],
  use: "list",
} as const;
const TARGET: Target = {
  sets: [SET],
  chains: [],
  hooks: [],
  devices: [],
  external: { chains: [], sets: [] },
};

/** lines of one set, as a delta brings them */
function change(...lines: string[]): SetLines[] {
  const set = lines[0]?.split(" ")[2] ?? "";
  return [{ set, count: lines.length, adds: true, chunks: () => lines.map((line) => `${line}\n`) }];
}

function given(options: { target?: Target; refuses?: boolean; wanted?: number; room?: number } = {}) {
  const sent: string[] = [];
  const rebuilt: string[] = [];
  const gate = createListGate({
    target: () => options.target,
    async send({ text }) {
      if (options.refuses) throw new Error("Hash is full");
      sent.push(text);
    },
    rebuild: async (name) => void rebuilt.push(name),
    wanted: () => options.wanted ?? 1,
    readFills: async () => new Map([[SET.name, { entries: 1, room: options.room }]]),
    onAdded: () => undefined,
    log: () => undefined,
  });
  return { gate, sent, rebuilt };
}

test("lines for a set that stands reach the kernel in one script", async () => {
  const { gate, sent } = given({ target: TARGET });
  await gate.write(change("add -exist sl-l-bans-4 192.0.2.1 timeout 60", "del -exist sl-l-bans-4 192.0.2.2"));
  expect(sent).toEqual(["add -exist sl-l-bans-4 192.0.2.1 timeout 60\ndel -exist sl-l-bans-4 192.0.2.2\n"]);
});

test("lines for a set that doesn't stand are dropped: it is filled whole when it is built", async () => {
  const { gate, sent } = given({ target: TARGET });
  await gate.write(change("add -exist sl-l-other-4 192.0.2.1"));
  expect(sent).toEqual([]);
});

test("lines that come during a change are written after it, once and in order, also when it fails", async () => {
  const { gate, sent } = given({ target: TARGET });
  const changing = gate.hold(async () => {
    await gate.write(change("add -exist sl-l-bans-4 192.0.2.1"));
    await gate.write(change("del -exist sl-l-bans-4 192.0.2.1"));
    expect(sent).toEqual([]);
    throw new Error("refused");
  });
  await expect(changing).rejects.toThrow("refused");
  expect(sent).toEqual(["add -exist sl-l-bans-4 192.0.2.1\ndel -exist sl-l-bans-4 192.0.2.1\n"]);
});

test("a set that refuses more is built anew", async () => {
  const { gate, rebuilt } = given({ target: TARGET, refuses: true });
  await gate.write(change("add -exist sl-l-bans-4 192.0.2.1", "add -exist sl-l-bans-4 192.0.2.3"));
  expect(rebuilt).toEqual(["sl-l-bans-4"]);
});

test("a set that is three quarters full is built anew before it refuses", async () => {
  const { gate, sent, rebuilt } = given({ target: TARGET, wanted: 750, room: 1000 });
  await gate.write(change("add -exist sl-l-bans-4 192.0.2.1"));
  expect(rebuilt).toEqual([]);
  expect(sent).toHaveLength(1);
  const fuller = given({ target: TARGET, wanted: 751, room: 1000 });
  await fuller.gate.write(change("add -exist sl-l-bans-4 192.0.2.1"));
  expect(fuller.rebuilt).toEqual(["sl-l-bans-4"]);
  expect(fuller.sent).toEqual([]);
});

test("it tells when nothing is on its way into the kernel", async () => {
  const taken = Promise.withResolvers<void>();
  const gate = createListGate({
    target: () => TARGET,
    send: () => taken.promise,
    rebuild: async () => undefined,
    wanted: () => 1,
    readFills: async () => new Map(),
    onAdded: () => undefined,
    log: () => undefined,
  });
  const told: string[] = [];
  const writing = gate.write(change("add -exist sl-l-bans-4 192.0.2.1")).then(() => told.push("written"));
  const waiting = gate.written().then(() => told.push("told"));
  taken.resolve();
  await Promise.all([writing, waiting]);
  expect(told).toEqual(["written", "told"]);
  await gate.written();
});
