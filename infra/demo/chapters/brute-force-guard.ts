import { execIn } from "../../net/namespace.ts";
import { knock, tryConnection } from "../knock.ts";
import { policyFile } from "../policy-file.ts";
import type { Stage } from "../stage.ts";

const GUESSER = "198.51.100.7";
const NEIGHBOUR = "198.51.100.8";

const TOO_MANY_HITS = `
policy: impatient
description: More hits than any kernel counts
targets: { servers: [server-1] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 22 -m recent --name x --update --seconds 60 --hitcount 70000 -j DROP
`;

/** The ladder against password guessing: the third try within 20 s is banned, each further one renews the ban. */
export async function bruteForceGuard({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("Password guessing: three tries in 20 s and out, for as long as you go on");
  const client = lab.fabric.host("client");
  for (const address of [GUESSER, NEIGHBOUR]) await lab.fabric.addAddress(client, `${address}/32`);
  await narrator.sluice("policy", "apply", "-f", policyFile("guard-ssh"), "--reason", "guessing at night");
  await narrator.sluice("plan", "guard-ssh", "--server", "server-1");
  const rollout = await narrator.sluice("rollout", "start", "guard-ssh", "--reason", "guessing at night");
  narrator.claim("rolled out to four servers", rollout.code === 0, `exit ${rollout.code}`);

  const host = lab.fabric.host("server-1");
  const base = { host, port: 22, from: GUESSER };
  await knock(lab, narrator, { ...base, expect: "accepted", why: "first try" });
  await knock(lab, narrator, { ...base, expect: "accepted", why: "second" });
  await knock(lab, narrator, { ...base, expect: "timeout", why: "third within 20 s" });
  const banned = await lastSeen(host.namespace, GUESSER);
  await tryConnection(lab, base);
  const renewed = await lastSeen(host.namespace, GUESSER);
  narrator.claim(
    "each further try renews the ban",
    banned !== undefined && renewed !== undefined && renewed > banned,
    `last seen moved by ${(renewed ?? 0) - (banned ?? 0)} jiffies`,
  );
  await knock(lab, narrator, {
    ...base,
    from: NEIGHBOUR,
    expect: "accepted",
    why: "another address isn't hit",
  });

  narrator.note("a count that this kernel refuses is told before anything is stored:");
  const refused = await narrator.sluiceWithInput(TOO_MANY_HITS, "plan", "-f", "-");
  narrator.claim(
    "the plan is refused, and names what this kernel counts to",
    refused.code === 2,
    `exit ${refused.code}`,
  );
}

/** The newest `last_seen` that the ban list holds for an address, in jiffies. */
async function lastSeen(namespace: string, address: string): Promise<number | undefined> {
  const listing = await execIn(namespace, "sh", ["-c", "cat /proc/net/xt_recent/*"]);
  const seen = listing
    .split("\n")
    .filter((line) => line.startsWith(`src=${address} `))
    .map((line) => Number(/last_seen: (\d+)/.exec(line)?.[1]));
  return seen.length === 0 ? undefined : Math.max(...seen);
}
