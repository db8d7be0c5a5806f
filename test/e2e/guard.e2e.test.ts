import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  addAddresses,
  type BackendServer,
  FAMILIES,
  knock,
  onEach,
  startBothBackends,
} from "./both-backends.ts";
import { applyPolicy, planOf, rollOut } from "./lab.ts";

/** 2 in 20 s and out: the ladder as a guard, once with a ban that each try renews, once without. */
const GUARDS = `
policy: guards
targets: { servers: ["*"] }
guards:
  ssh:
    port: 22
    limits:
      - { hits: 2, within: 20s }
      - { hits: 14, within: 200s }
      - { hits: 79, within: 2000s }
      - { hits: 399, within: 20000s }
    ban: { for: 600s, renew: true }
  web:
    port: 80
    limits: [{ hits: 2, within: 20s }]
    ban: { for: 600s, renew: false }
reach: [tcp/22]
`;

/** The same, written by hand as its authors give it, for another port. */
const BY_HAND = `
policy: by-hand
targets: { servers: ["*"] }
firewall:
  filter:
    INPUT:
      - -p tcp --dport 2222 -m conntrack --ctstate NEW -j ssh
    blacklist:
      - -m recent --name blacklist --set
      - -j DROP
    ssh:
      - -m recent --update --name blacklist --seconds 600 --hitcount 1 -j DROP
      - -m recent --set --name counting1
      - -m recent --set --name counting2
      - -m recent --set --name counting3
      - -m recent --set --name counting4
      - -m recent --update --name counting1 --seconds 20 --hitcount 3 -j blacklist
      - -m recent --update --name counting2 --seconds 200 --hitcount 15 -j blacklist
      - -m recent --update --name counting3 --seconds 2000 --hitcount 80 -j blacklist
      - -m recent --update --name counting4 --seconds 20000 --hitcount 400 -j blacklist
      - -j ACCEPT
reach: [tcp/22]
`;

const GUESSER = { 4: "198.51.100.7", 6: "2001:db8:51::7" };
const NEIGHBOUR = { 4: "198.51.100.8", 6: "2001:db8:51::8" };

let lab: Lab;
let servers: BackendServer[];

beforeAll(async () => {
  ({ lab, servers } = await startBothBackends());
  await addAddresses(lab, GUESSER, NEIGHBOUR);
  for (const { name } of servers) await lab.stations.get(name)?.listen(2222, { kind: "accept" });
  for (const text of [GUARDS, BY_HAND]) await applyPolicy(lab, text, "guessing at night");
  for (const policy of ["guards", "by-hand"])
    expect(await rollOut(lab, policy)).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

describe.each([
  { what: "a guard", port: 22, list: "sl:guards:ssh:ban", renews: true },
  { what: "a guard whose ban isn't renewed", port: 80, list: "sl:guards:web:ban", renews: false },
  { what: "the recipe written by hand", port: 2222, list: "blacklist", renews: true },
])("$what", ({ port, list, renews }) => {
  test("drops the third try within 20 s, and nobody else's", async () => {
    await onEach(servers, async (server) => {
      for (const family of FAMILIES) {
        const guesser = { family, from: GUESSER[family] };
        expect(await knock(lab, server, port, guesser)).toBe("accepted");
        expect(await knock(lab, server, port, guesser)).toBe("accepted");
        expect(await knock(lab, server, port, guesser)).toBe("timeout");
        expect(await knock(lab, server, port, { family, from: NEIGHBOUR[family] })).toBe("accepted");
      }
    });
  });

  test(`a banned address stays out, and ${renews ? "each try starts its ban anew" : "its tries don't prolong the ban"}`, async () => {
    await onEach(servers, async (server) => {
      for (const family of FAMILIES) {
        const before = await lastSeen(server, list, GUESSER[family]);
        expect(await knock(lab, server, port, { family, from: GUESSER[family] })).toBe("timeout");
        const after = await lastSeen(server, list, GUESSER[family]);
        if (renews) expect(after).toBeGreaterThan(before);
        else expect(after).toBe(before);
      }
    });
  });
});

test.each([
  {
    what: "a hit count that this kernel doesn't count to",
    table: "filter",
    rule: "-p tcp -m recent --name x --update --seconds 60 --hitcount 70000 -j DROP",
    words: /counts to \d+; .* wants 70000/,
  },
  {
    what: "a target that the kernel doesn't take in this table",
    table: "mangle",
    rule: "-p tcp -j REJECT",
    words: /Invalid argument/,
  },
])(
  "$what is refused at plan time with its line, and nothing is stored or written",
  async ({ table, rule, words }) => {
    const before = await Promise.all(servers.map((server) => server.kernel()));
    const text = `policy: impatient
targets: { servers: ["*"] }
firewall:
  ${table}:
    INPUT:
      - ${rule}
`;
    const plan = await planOf(lab, { file: { name: "impatient.yaml", text } });
    expect(plan.state).toBe("refused");
    for (const { refusal } of plan.answers) {
      expect(refusal?.reason).toMatch(words);
      expect(refusal?.origin).toMatchObject({ policy: "impatient", line: 6 });
    }
    expect(plan.answers.map(({ state }) => state)).toEqual(["refused", "refused"]);
    expect(await sluice(["plan", "-f", "-"], text)).toMatchObject({
      code: 2,
      said: expect.stringMatching(words),
    });
    expect((await lab.client.policies.ls.query({})).map(({ policy }) => policy)).not.toContain("impatient");
    expect(await Promise.all(servers.map((server) => server.kernel()))).toEqual(before);
  },
);

/** The newest `last_seen` of an address in a list of xt_recent, in jiffies. */
async function lastSeen(server: BackendServer, list: string, address: string): Promise<number> {
  const listing = await server.run("cat", `/proc/net/xt_recent/${list}`);
  const seen = listing.split("\n").find((line) => sourceOf(line) === address);
  return Number(/last_seen: (\d+)/.exec(seen ?? "")?.[1]);
}

/** xt_recent writes IPv6 addresses in full. */
function sourceOf(line: string): string {
  const source = /^src=(\S+)/.exec(line)?.[1] ?? "";
  return source.includes(":") ? new URL(`http://[${source}]`).hostname.slice(1, -1) : source;
}

const cli = fileURLToPath(new URL("../../services/cli/main.ts", import.meta.url));

async function sluice(
  args: readonly string[],
  input: string,
): Promise<{ code: number | null; said: string }> {
  const env = { ...process.env, SLUICE_URL: lab.context.url, SLUICE_TOKEN: lab.context.token };
  const child = spawn(process.execPath, [cli, ...args], { env });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  child.stdin.end(input);
  return await new Promise((resolve) => child.once("close", (code) => resolve({ code, said })));
}
