import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createAuditTrail, parseChanges } from "./audit-trail.ts";

const hex = (...words: string[]) => Buffer.from(words.join("\0")).toString("hex").toUpperCase();

/** As auditd writes them. */
function records({ id = 7, at = "1700000000.250", family = 2, auid = 1000, pid = 4711 } = {}): string {
  const head = (type: string) => `type=${type} msg=audit(${at}:${id}):`;
  return [
    `${head("NETFILTER_CFG")} table=filter:12 family=${family} entries=1 op=nft_register_rule pid=${pid} subj=unconfined comm="iptables"`,
    `${head("SYSCALL")} arch=c000003e syscall=46 success=yes exit=0 items=0 ppid=9 pid=${pid} auid=${auid} uid=0 gid=0 comm="iptables" exe="/usr/sbin/xtables-nft-multi" key=(null)`,
    `${head("PROCTITLE")} proctitle=${hex("iptables", "-F", "SL-web-ssh")}`,
    "",
  ].join("\n");
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-audit-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function trail(text: string | undefined) {
  const path = join(folder, "audit.log");
  if (text !== undefined) writeFileSync(path, text);
  return createAuditTrail({ path, isOwnChild: (pid) => pid === 1 });
}

const FILTER = { tables: [{ family: 4, table: "filter" }], sinceMs: 1_700_000_000_000 } as const;

test("a change is told with its table, its process and its whole command line", () => {
  expect(parseChanges(`noise\n${records()}type=LOGIN msg=audit(1.0:1): pid=3\n`)).toEqual([
    {
      ...{ atMs: 1_700_000_000_250, family: 4, table: "filter", pid: 4711, tool: "iptables" },
      ...{ uid: 1000, command: "iptables -F SL-web-ssh" },
    },
  ]);
});

test("the user is the one who logged in, else the one it ran as", async () => {
  expect(await trail(records({ auid: 0 })).whoChanged(FILTER)).toMatchObject({ user: "root" });
  expect(await trail(records({ auid: 4294967295 })).whoChanged(FILTER)).toMatchObject({ user: "root" });
  expect(await trail(records({ auid: 54_321 })).whoChanged(FILTER)).toMatchObject({ user: "54321" });
});

test("the newest change of the asked tables counts; older ones, other families, other processes and our own don't", async () => {
  const text = [
    records({ id: 1, pid: 2, at: "1699999999.999" }),
    records({ id: 2, pid: 3 }),
    records({ id: 3, pid: 4 }),
    records({ id: 4, pid: 5, family: 10 }),
    records({ id: 5, pid: 1 }),
  ].join("");
  const { whoChanged } = trail(text);
  expect(await whoChanged(FILTER)).toMatchObject({ pid: 4 });
  expect(await whoChanged({ ...FILTER, pid: 3 })).toMatchObject({ pid: 3 });
  expect(await whoChanged({ ...FILTER, pid: 2 })).toBeUndefined();
  expect(await whoChanged({ ...FILTER, tables: [{ family: 4, table: "nat" }] })).toBeUndefined();
});

test("a change that was told once isn't told of the next drift, also where the look before began earlier", async () => {
  const path = join(folder, "audit.log");
  const { whoChanged, settle } = trail(records({ id: 1, pid: 2 }));
  expect(await whoChanged(FILTER)).toMatchObject({ pid: 2 });
  expect(await whoChanged(FILTER)).toMatchObject({ pid: 2 });
  settle();
  expect(await whoChanged(FILTER)).toBeUndefined();
  writeFileSync(path, records({ id: 1, pid: 2 }) + records({ id: 2, pid: 3, at: "1700000000.251" }));
  expect(await whoChanged(FILTER)).toMatchObject({ pid: 3 });
});

test("without an audit daemon nobody is named", async () => {
  expect(await trail(undefined).whoChanged(FILTER)).toBeUndefined();
});
