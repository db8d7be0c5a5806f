import { explain } from "@sluice/agents/explain/explain";
import { readDevices } from "@sluice/agents/facts/devices";
import { aroundOf } from "@sluice/agents/packets/around";
import type { Asked } from "@sluice/agents/packets/packet";
import type { Explanation } from "@sluice/proto/manifest/test-result";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Backend, manifestOf, targetFor } from "./rehearsed.ts";
import { createTestServer, type TestServer } from "./server.ts";

/** What becomes of a packet on a live server: its rules are read there, and the packet is sent in a copy. */
let server: TestServer;
beforeEach(async () => {
  server = await createTestServer();
  await server.sh("ip route add default via 192.0.2.1; ip -6 route add default via 2001:db8::1");
});
afterEach(() => server.remove());

const SSH = {
  family: 4,
  protocol: "tcp",
  hook: "input",
  state: "new",
  from: "203.0.113.9",
  port: 22,
} as const;

async function explained(
  backend: Backend,
  asked: Asked,
  held?: ReturnType<typeof targetFor>,
): Promise<Explanation> {
  const around = aroundOf(server.at, await readDevices(server.at));
  return await explain({ live: server.at, backend, ...around }, asked, held);
}

describe.each(["nft", "legacy"] as const)("on %s", (backend) => {
  const four = `iptables-${backend}`;
  const six = `ip6tables-${backend}`;

  test("a foreign drop is named as foreign, with every rule met on the way, and nothing live is changed", async () => {
    await server.sh(
      `${four} -N f2b-sshd; ${four} -A f2b-sshd -s 203.0.113.9 -j REJECT --reject-with icmp-port-unreachable;` +
        `${four} -A f2b-sshd -j RETURN; ${four} -A INPUT -p tcp --dport 22 -j f2b-sshd`,
    );
    const before = await server.dump(backend);
    expect(await explained(backend, SSH)).toEqual({
      packet: "203.0.113.9:50000 to 192.0.2.10:tcp/22 by eth0",
      verdict: "reject",
      decided: {
        chain: "ip4/filter/f2b-sshd",
        rule: "-s 203.0.113.9/32 -j REJECT --reject-with icmp-port-unreachable",
        foreign: true,
      },
      met: [
        { chain: "ip4/filter/INPUT", rule: "-p tcp -m tcp --dport 22 -j f2b-sshd", foreign: true },
        expect.objectContaining({ chain: "ip4/filter/f2b-sshd" }),
      ],
      notCopied: [],
    });
    expect(await explained(backend, { ...SSH, from: "203.0.113.10" })).toMatchObject({
      verdict: "accept",
      met: [{}, { rule: "-j RETURN" }],
    });
    expect(await server.dump(backend)).toBe(before);
  });

  test("a rule of ours is named with its policy and line; a built-in chain's own policy too", async () => {
    const held = targetFor(
      manifestOf(`policy: door
targets: { servers: ["*"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -j ACCEPT
      - -p tcp --dport 23 -j DROP
`),
    );
    await server.sh(
      `${six} -P INPUT DROP; ${six} -N SL-INPUT; ${six} -N SL-door-INPUT; ${six} -I INPUT -j SL-INPUT; ` +
        `${six} -A SL-INPUT -j SL-door-INPUT; ${six} -A SL-door-INPUT -p tcp --dport 22 -j ACCEPT; ` +
        `${six} -A SL-door-INPUT -p tcp --dport 23 -j DROP`,
    );
    const ask = (port: number) =>
      explained(backend, { ...SSH, family: 6, from: "2001:db8:9::9", port }, held);
    expect(await ask(22)).toMatchObject({
      verdict: "accept",
      decided: { origin: { policy: "door", line: 6 } },
    });
    expect(await ask(23)).toMatchObject({
      verdict: "drop",
      decided: { chain: "ip6/filter/SL-door-INPUT", foreign: false, origin: { policy: "door", line: 7 } },
    });
    expect(await ask(80)).toMatchObject({
      verdict: "drop",
      decided: { chain: "ip6/filter/INPUT", rule: "policy DROP", foreign: true },
    });
  });

  test("sets are asked for the packet's own addresses and ports alone", async () => {
    await server.sh(
      "ipset create bans hash:net; ipset add bans 203.0.113.0/24; ipset create ports bitmap:port range 0-1000; " +
        "ipset add ports 22; ipset create control hash:ip,port; ipset create pairs hash:ip,port; ipset add pairs 198.51.100.1,tcp:22; " +
        `ipset create all list:set; ${four} -A INPUT -m set --match-set control src,src -j ACCEPT; ipset add all bans; ${four} -A INPUT -m set --match-set ports dst ` +
        `-m set --match-set all src -j DROP; ${four} -A INPUT -m set --match-set pairs src,dst -j REJECT`,
    );
    const verdict = async (from: string, port = 22) =>
      (await explained(backend, { ...SSH, from, port })).verdict;
    expect(await verdict("203.0.113.9")).toBe("drop");
    expect(await verdict("203.0.113.9", 23)).toBe("accept");
    expect(await verdict("198.51.100.1")).toBe("reject");
    expect(await verdict("198.51.100.2")).toBe("accept");
  });

  test("what a rule remembers isn't guessed: a recent list that holds the address is named", async () => {
    await server.sh(
      `${four} -A INPUT -m recent --name ban --rcheck --seconds 600 -j DROP; echo +203.0.113.9 > /proc/net/xt_recent/ban`,
    );
    expect(await explained(backend, SSH)).toMatchObject({
      verdict: "unknown",
      reason: expect.stringContaining("the recent list ban, which holds 203.0.113.9"),
      decided: { rule: expect.stringContaining("--name ban") },
    });
    expect(await explained(backend, { ...SSH, from: "203.0.113.10" })).toMatchObject({ verdict: "accept" });
  });

  test("a packet that is forwarded is followed through FORWARD", async () => {
    await server.sh(`${four} -A FORWARD -o eth1 -p udp --dport 53 -j DROP`);
    const forwarded = { ...SSH, protocol: "udp", hook: "forward", to: "198.51.100.5", out: "eth1" } as const;
    expect(await explained(backend, { ...forwarded, port: 53 })).toMatchObject({
      verdict: "drop",
      decided: { chain: "ip4/filter/FORWARD" },
    });
    expect(await explained(backend, { ...forwarded, port: 54 })).toMatchObject({ verdict: "accept" });
  });
});

test("what can't be copied is said, and nothing is concluded from it: native nft tables, rules, the other backend", async () => {
  await server.sh(
    "nft add table inet theirs; nft 'add chain inet theirs in { type filter hook input priority 0; }'",
  );
  const beside = await explained("nft", SSH);
  expect(beside).toMatchObject({ verdict: "unknown", notCopied: ["nft table inet theirs"] });
  expect(beside.reason).toContain("not copied: nft table inet theirs");
  // a drop stands, whatever else there is
  await server.sh("iptables-nft -A INPUT -p tcp --dport 22 -j DROP");
  expect(await explained("nft", SSH)).toMatchObject({
    verdict: "drop",
    notCopied: ["nft table inet theirs"],
  });

  await server.sh(
    "nft delete table inet theirs; iptables-nft -F INPUT; nft insert rule ip filter INPUT ip saddr { 8.8.8.8 } drop",
  );
  expect(await explained("nft", SSH)).toMatchObject({
    verdict: "unknown",
    notCopied: [expect.stringContaining("table filter: it holds")],
  });

  await server.sh("nft flush ruleset; iptables-legacy -A INPUT -p udp -j DROP");
  expect(await explained("nft", SSH)).toMatchObject({
    verdict: "unknown",
    notCopied: ["table filter of iptables-legacy"],
  });
});

test("a packet to an address that isn't the server's is no packet of INPUT", async () => {
  expect(await explained("nft", { ...SSH, to: "198.51.100.5" })).toMatchObject({
    verdict: "unknown",
    reason: expect.stringContaining("isn't an address of this server"),
  });
});
