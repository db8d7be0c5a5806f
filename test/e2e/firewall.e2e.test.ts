import type { Lab } from "@sluice/infra/lab/start-lab";
import type { OpenConnection } from "@sluice/infra/packets/station";
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
const STRANGER = { 4: "203.0.113.9", 6: "2001:db8:9::9" };
/** rev 2 differs in the chain `ssh` alone */
const SSH_RULE = "- -p tcp -j REJECT --reject-with tcp-reset";

const POLICY = `
policy: firewall
targets: { servers: ["*"] }
vars:
  own4: { value: 10.77.0.11, servers: { server-2: 10.77.0.12 } }
  own6: { value: "fd77::11", servers: { server-2: "fd77::12" } }
sets:
  office: { type: "hash:net", entries: [10.77.0.0/24, "fd77::/64"] }
firewall:
  default:
    INPUT: { verdict: drop, log: "e2e dropped " }
  mangle:
    PREROUTING:
      - -p tcp --dport 8003 -j MARK --set-mark 7
  nat:
    PREROUTING:
      - -p tcp --dport 8001 -j REDIRECT --to-ports 9000
      - { rule: "-p tcp --dport 8002 -j DNAT --to-destination $own4:9000", family: ipv4 }
      - { rule: "-p tcp --dport 8002 -j DNAT --to-destination [$own6]:9000", family: ipv6 }
  filter:
    INPUT:
      - -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
      - -p icmp -j ACCEPT
      - -p ipv6-icmp -j ACCEPT
      - -s ${BAD[4]} -j DROP
      - -s 2001:db8:66::/48 -j DROP
      - -p udp --dport 7000 -j counted
      - -m conntrack --ctstate DNAT -j ACCEPT
      - -m mark --mark 7 -j ACCEPT
      - { rule: -p tcp --dport 8004 -j ACCEPT, family: ipv4 }
      - -p tcp --dport 22 -j ssh
    ssh:
      - -m set --match-set office src -j ACCEPT
      ${SSH_RULE}
    counted:
      - -j RETURN
    OUTPUT:
      - -o eth0 -m conntrack --ctstate NEW -j LOG --log-prefix "e2e out "
reach: [tcp/22]
`;

let lab: Lab;
let servers: BackendServer[];
/** opened before the first rule stood */
const early = new Map<string, OpenConnection>();

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await addAddresses(lab, BAD, STRANGER);
  for (const server of servers) {
    const station = lab.stations.get(server.name);
    for (const port of [8003, 8004]) await station?.listen(port, { kind: "accept" });
    for (const family of FAMILIES)
      early.set(`${server.name} ${family}`, await lab.outside.open({ to: server.address(family), port: 22 }));
  }
  await applyPolicy(lab, POLICY, "default drop");
  expect(await rollOut(lab, "firewall")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function eachWay(work: (server: BackendServer, family: Family) => Promise<void>): Promise<void> {
  await onEach(servers, async (server) => {
    for (const family of FAMILIES) await work(server, family);
  });
}

test("a connection from before a default drop lives on", async () => {
  await eachWay(async ({ name }, family) => {
    const connection = early.get(`${name} ${family}`);
    expect((await connection?.echo("still there?"))?.outcome).toBe("answered");
    await connection?.close();
  });
});

test("what no rule accepts is dropped and logged, what a rule accepts comes in", async () => {
  await eachWay(async (server, family) => {
    const logged = await server.packets(family, "filter", "e2e dropped ");
    expect(await knock(lab, server, 80, { family })).toBe("timeout");
    expect(await server.packets(family, "filter", "e2e dropped ")).toBeGreaterThan(logged);
    expect(await knock(lab, server, 22, { family })).toBe("accepted");
  });
});

test("a dropped source is dropped, and a chain of the policy's own decides for others", async () => {
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 22, { family, from: BAD[family] })).toBe("timeout");
    expect(await knock(lab, server, 22, { family, from: STRANGER[family] })).toBe("refused");
  });
});

test("a rule with a family is in that family only", async () => {
  await onEach(servers, async (server) => {
    expect(await knock(lab, server, 8004, { family: 4 })).toBe("accepted");
    expect(await knock(lab, server, 8004, { family: 6 })).toBe("timeout");
  });
});

test("nat sends packets to another port, by REDIRECT and by DNAT to each server's own address", async () => {
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 9000, { family })).toBe("timeout");
    for (const port of [8001, 8002]) expect(await knock(lab, server, port, { family })).toBe("accepted");
  });
});

test("a mark set in mangle is seen by filter", async () => {
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 8003, { family })).toBe("accepted");
    expect(await server.packets(family, "mangle", "--set-xmark 0x7")).toBeGreaterThan(0);
  });
});

test("the LOG rule on what goes out counts each new connection once", async () => {
  const client = lab.fabric.host("client");
  await eachWay(async (server, family) => {
    const before = await server.packets(family, "filter", "e2e out ");
    for (let connection = 0; connection < 3; connection += 1)
      await lab.stations
        .get(server.name)
        ?.connect({ to: family === 4 ? client.ipv4 : client.ipv6, port: 4444 });
    expect((await server.packets(family, "filter", "e2e out ")) - before).toBe(3);
  });
});

test("chains that a new revision doesn't change keep their counters", async () => {
  await eachWay(async (server, family) => {
    for (let datagram = 0; datagram < 4; datagram += 1)
      await lab.outside.ask({ to: server.address(family), port: 7000, timeoutMs: 50 });
    expect(await server.packets(family, "filter", "-A SL-firewall-counted ")).toBe(4);
  });
  await applyPolicy(lab, POLICY.replace(SSH_RULE, "- -p tcp -j DROP"), "no answer to strangers");
  expect(await rollOut(lab, "firewall")).toMatchObject({ state: "completed" });
  await eachWay(async (server, family) => {
    expect(await knock(lab, server, 22, { family, from: STRANGER[family] })).toBe("timeout");
    expect(await server.packets(family, "filter", "-A SL-firewall-counted ")).toBe(4);
  });
});
