import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
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

function given(options: { target?: Target; refuses?: boolean } = {}) {
  const sent: string[] = [];
  const rebuilt: string[] = [];
  const gate = createListGate({
    target: () => options.target,
    async send({ text }) {
      if (options.refuses) throw new Error("Hash is full");
      sent.push(text);
    },
    rebuild: async (name) => void rebuilt.push(name),
    log: () => undefined,
  });
  return { gate, sent, rebuilt };
}

test("lines for a set that stands reach the kernel in one script", async () => {
  const { gate, sent } = given({ target: TARGET });
  await gate.write(["add -exist sl-l-bans-4 192.0.2.1 timeout 60", "del -exist sl-l-bans-4 192.0.2.2"]);
  expect(sent).toEqual(["add -exist sl-l-bans-4 192.0.2.1 timeout 60\ndel -exist sl-l-bans-4 192.0.2.2\n"]);
});

test("lines for a set that doesn't stand are dropped: it is filled whole when it is built", async () => {
  const { gate, sent } = given({ target: TARGET });
  await gate.write(["add -exist sl-l-other-4 192.0.2.1"]);
  expect(sent).toEqual([]);
});

test("lines that come during a change are written after it, once and in order, also when it fails", async () => {
  const { gate, sent } = given({ target: TARGET });
  const change = gate.hold(async () => {
    await gate.write(["add -exist sl-l-bans-4 192.0.2.1"]);
    await gate.write(["del -exist sl-l-bans-4 192.0.2.1"]);
    expect(sent).toEqual([]);
    throw new Error("refused");
  });
  await expect(change).rejects.toThrow("refused");
  expect(sent).toEqual(["add -exist sl-l-bans-4 192.0.2.1\ndel -exist sl-l-bans-4 192.0.2.1\n"]);
});

test("a set that refuses more is built anew", async () => {
  const { gate, rebuilt } = given({ target: TARGET, refuses: true });
  await gate.write(["add -exist sl-l-bans-4 192.0.2.1", "add -exist sl-l-bans-4 192.0.2.3"]);
  expect(rebuilt).toEqual(["sl-l-bans-4"]);
});

test("it tells when nothing is on its way into the kernel", async () => {
  const taken = Promise.withResolvers<void>();
  const gate = createListGate({
    target: () => TARGET,
    send: () => taken.promise,
    rebuild: async () => undefined,
    log: () => undefined,
  });
  const told: string[] = [];
  const writing = gate.write(["add -exist sl-l-bans-4 192.0.2.1"]).then(() => told.push("written"));
  const waiting = gate.written().then(() => told.push("told"));
  taken.resolve();
  await Promise.all([writing, waiting]);
  expect(told).toEqual(["written", "told"]);
  await gate.written();
});
