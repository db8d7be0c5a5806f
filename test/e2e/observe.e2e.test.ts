import type { Lab } from "@sluice/infra/lab/start-lab";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  addAddresses,
  type BackendServer,
  FAMILIES,
  type Family,
  knock,
  onEach,
  startBothBackends,
} from "./both-backends.ts";
import { applyPolicy, rollOut } from "./lab.ts";

const BAD = { 4: "203.0.113.66", 6: "2001:db8:66::1" };

const POLICY = `policy: door
targets: { servers: ["*"] }
mode: observe
firewall:
  default: { INPUT: drop }
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p icmp -j ACCEPT
      - -p ipv6-icmp -j ACCEPT
      - -p tcp --dport 22 -j ssh
      - -p tcp --dport 9000 -j REJECT
      - -p tcp --dport 9001 -j DROP
    ssh:
      - -s ${BAD[4]} -j DROP
      - -s ${BAD[6]} -j DROP
      - -j ACCEPT
reach: [tcp/22]
`;

let lab: Lab;
let servers: BackendServer[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await addAddresses(lab, BAD);
  await applyPolicy(lab, POLICY, "look first");
  expect(await rollOut(lab, "door")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function eachWay(work: (server: BackendServer, family: Family) => Promise<void>): Promise<void> {
  await onEach(servers, async (server) => {
    for (const family of FAMILIES) await work(server, family);
  });
}

test("an observed policy lets through what it would drop, and counts and logs it", async () => {
  await eachWay(async (server, family) => {
    const log = (line: number) => server.packets(family, "filter", `"observe door:${line} "`);
    const before = await log(12);
    const banned = family === 4 ? 15 : 16;
    expect(await knock(lab, server, 9000, { family })).toBe("accepted");
    expect(await log(12)).toBe(before + 1);
    expect(await knock(lab, server, 22, { family })).toBe("accepted");
    expect(await log(banned)).toBe(0);
    expect(await knock(lab, server, 22, { family, from: BAD[family] })).toBe("accepted");
    expect(await log(banned)).toBe(1);
  });
});
