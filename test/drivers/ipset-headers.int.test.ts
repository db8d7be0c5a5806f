import { createSetHeaders } from "@sluice/agents/drivers/ipset/headers";
import { parseList } from "@sluice/agents/drivers/ipset/parse";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { afterEach, beforeEach, expect, test } from "vitest";

let at: RehearsalNamespace;

beforeEach(async () => {
  at = await openRehearsal();
});
afterEach(() => at.close());

async function ipset(...lines: string[]): Promise<void> {
  const { code, stderr } = await at.run("ipset", ["restore"], {
    input: lines.map((line) => `${line}\n`).join(""),
  });
  if (code !== 0) throw new Error(stderr);
}

/** What `ipset` itself says now. */
async function listed() {
  return parseList((await at.run("ipset", ["list", "-t"])).stdout);
}

test("headers of sets are read of one `ipset`, whatever others make of the sets meanwhile", async () => {
  const headers = createSetHeaders(at);
  expect(await headers.read()).toBeDefined();
  const started: string[] = [];
  const spawn = at.spawn;
  at.spawn = (command, args) => {
    started.push(command);
    return spawn(command, args);
  };
  for (const made of [
    ["create x hash:ip", "add x 192.0.2.1", "create other hash:net family inet6"],
    ["destroy x", "create x hash:net,port family inet6 timeout 5 maxelem 10"],
    ["destroy x", "create x bitmap:port range 1-100", "add x 7"],
    ["destroy x", "create x list:set", "add x other"],
    ["destroy x", "destroy other"],
  ]) {
    await ipset(...made);
    expect(parseList((await headers.read()) ?? "no")).toEqual(await listed());
  }
  expect(started).toEqual([]);
  await headers.close();
});

test("headers that can't be read are undefined, and the next time are asked for anew", async () => {
  await ipset("create x hash:ip");
  const spawn = at.spawn;
  const headers = createSetHeaders(at);
  at.spawn = () => {
    throw new Error("no such tool");
  };
  expect(await headers.read()).toBeUndefined();
  at.spawn = (_command, args) => spawn("sh", ["-c", "exit 1", ...args]);
  expect(await headers.read()).toBeUndefined();
  at.spawn = spawn;
  expect(parseList((await headers.read()) ?? "no")).toEqual(await listed());
  await headers.close();
});
