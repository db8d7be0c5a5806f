import { expect, test } from "vitest";
import type { Target } from "../drivers/driver.ts";
import { createCutter } from "./cut-live.ts";
import { testMembers } from "./test-members.ts";

const TCP = [
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
  "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1",
  "   1: 0A0200C0:0016 077100CB:C350 01 00000000:00000000 00:00000000 00000000     0        0 2 1", // 203.0.113.7
  "   2: 0A0200C0:0016 097100CB:C351 01 00000000:00000000 00:00000000 00000000     0        0 3 1", // 203.0.113.9
  "   3: 0100007F:0016 0100007F:C352 01 00000000:00000000 00:00000000 00000000     0        0 4 1",
];
const TCP6 = [
  "  sl  local_address                         remote_address                        st",
  "   0: 0000000000000000FFFF00000A0200C0:0050 0000000000000000FFFF0000087100CB:C350 01", // ::ffff:203.0.113.8
  "   1: B80D0120000000000000000010000000:0050 B80D01200000000000000000FF000000:C350 01", // 2001:db8::ff
];
const CONNTRACK = [
  "ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.7 dst=192.0.2.10 sport=50000 dport=22 src=192.0.2.10 dst=203.0.113.7 sport=22 dport=50000 [ASSURED] mark=0 zone=0 use=2",
  "ipv4     2 udp      17 29 src=192.0.2.10 dst=203.0.113.7 sport=53 dport=53 [UNREPLIED] src=203.0.113.7 dst=192.0.2.10 sport=53 dport=53 mark=0 zone=0 use=2",
];

function given(blocked: { 4?: string[]; 6?: string[] }, verdict = "DROP", table: "raw" | "filter" = "raw") {
  const runs: string[] = [];
  const files: string[] = [];
  const tables = {
    4: testMembers(blocked[4] ?? []).entries.table(4),
    6: testMembers(blocked[6] ?? [], 6).entries.table(6),
  };
  const set = (family: 4 | 6) => `sl-l-bans-${family}`;
  const target: Target = {
    sets: ([4, 6] as const).map((family) => ({
      name: set(family),
      type: "hash:net",
      family,
      options: [],
      entries: [],
      use: "list",
    })),
    chains: ([4, 6] as const).map((family) => ({
      family,
      table,
      name: "SL-PREROUTING",
      rules: [{ args: `-m set --match-set ${set(family)} src -j ${verdict}` }],
    })),
    hooks: [],
    devices: [],
    external: { chains: [], sets: [] },
  };
  const cutter = createCutter({
    at: {
      async readNet(file, heard) {
        files.push(file);
        const lines = { tcp: TCP, tcp6: TCP6, nf_conntrack: CONNTRACK }[file] ?? [];
        const text = lines.map((line) => `${line}\n`).join("");
        for (let at = 0; at < text.length; at += 50) heard(Buffer.from(text.slice(at, at + 50)));
        return true;
      },
      async run(command, args, options) {
        runs.push(
          [command, ...args, ...(options?.input === undefined ? [] : [`< ${options.input}`])].join(" "),
        );
        return { code: 0, stdout: "", stderr: "", timedOut: false };
      },
    },
    target: () => target,
    covers: (name, key) => tables[name === set(4) ? 4 : 6].covers(key),
    nowMs: () => 0,
    log: () => undefined,
  });
  return { cutter, runs, files };
}

test("what is live and blocked is ended: sockets by one ss for all of them, tracked flows both ways", async () => {
  const { cutter, runs } = given({ 4: ["203.0.113.7", "203.0.113.8/31"], 6: ["2001:db8::/64"] });
  cutter.wake();
  await cutter.close();
  expect(runs).toEqual([
    "ss -K -H -n -t dst 203.0.113.7 or dst 203.0.113.9 or dst 203.0.113.8 or dst [2001:db8::ff]",
    "conntrack -D -f ipv4 -s 203.0.113.7",
    "conntrack -D -f ipv4 -d 203.0.113.7",
  ]);
});

test("nothing is started where nothing that lives is blocked, however many are, and loopback never is", async () => {
  const many = Array.from({ length: 5_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
  const { cutter, runs, files } = given({ 4: [...many, "127.0.0.0/8"] });
  cutter.wake();
  await cutter.close();
  expect(runs).toEqual([]);
  expect(files).toEqual(["tcp", "tcp6", "nf_conntrack"]);
});

test.each([
  ["a list that rules let in", "ACCEPT", "raw"],
  ["a list that isn't dropped early", "DROP", "filter"],
] as const)("%s ends no connection, and nothing is read", async (_, verdict, table) => {
  const { cutter, runs, files } = given({ 4: ["203.0.113.7"] }, verdict, table);
  cutter.wake();
  await cutter.close();
  expect([runs, files]).toEqual([[], []]);
});
