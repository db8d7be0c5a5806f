import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Agent } from "@sluice/agents/run/agent";
import { agentEnvironment } from "@sluice/agents/run/agent-parts";
import { uninstall } from "@sluice/agents/run/uninstall";
import { openStateFolder } from "@sluice/agents/state/state-folder";
import { type OtherTools, startOtherTools, whyNoOtherTools } from "@sluice/infra/other-tools/start";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { Manifest } from "@sluice/proto/manifest/manifest";
import { afterEach, describe, expect, test } from "vitest";
import { startTestAgent } from "../agents/agent.ts";
import { createFakeControl } from "../agents/fake-link.ts";
import { createTestServer, type TestServer } from "../agents/server.ts";
import { importedFrom } from "./imported.ts";
import { CLIENTS, type Outside, openOutside } from "./traffic.ts";

/** A firewall by hand beside a tool as Debian ships it, in the same built-in chain, made a policy's own and given back. */
const WAIT_MS = 60_000;
const obstacle = whyNoOtherTools();
if (obstacle !== undefined) console.warn(`skipped: ${obstacle}`);
const why = obstacle === undefined ? "" : ` (${obstacle})`;

interface Beside {
  tool: string;
  to: "server" | "behind";
  /** lines for `iptables` of both families, and for the tools, in order; ADDRESS of clients is filled in */
  made: readonly (string | { tool: string })[];
  /** what a line of the tool's own looks like */
  ofTool: RegExp;
  hook: string;
  /** what came through before: of those clients, on that port */
  open: readonly string[];
  left: readonly RegExp[];
}

const OPEN = ["client4 5000", "client6 5000", "office4 5000", "office6 5000", "office4 5001", "office6 5001"];

const CASES: readonly Beside[] = [
  {
    tool: "fail2ban",
    to: "server",
    hook: "INPUT",
    made: [
      "-P INPUT DROP",
      "-A INPUT -i lo -j ACCEPT",
      "-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT",
      "-A INPUT -p ICMP -j ACCEPT",
      "-N open",
      "-A open -p udp --dport 5000 -j ACCEPT",
      "-A INPUT -p tcp --dport 22 -j ACCEPT",
      "-A INPUT -j open",
      { tool: "fail2ban start" },
      { tool: "jail flood udp 5000:5001" },
      ...Object.entries(CLIENTS).flatMap(([name, addresses]) =>
        name === "client"
          ? []
          : addresses.map((address) => ({ tool: `fail2ban set flood banip ${address}` })),
      ),
      "-I INPUT 1 -s OFFICE -p udp -j ACCEPT",
    ],
    ofTool: /f2b-/,
    open: OPEN,
    left: [],
  },
  {
    tool: "ufw",
    to: "server",
    hook: "INPUT",
    made: [
      { tool: "ufw --force enable" },
      { tool: "ufw allow 22/tcp" },
      ...CLIENTS.banned.map((address) => ({ tool: `ufw deny from ${address}` })),
      ...CLIENTS.office.map((address) => ({ tool: `ufw allow proto udp from ${address} to any port 5001` })),
      "-I INPUT 1 -s OFFICE -p udp --dport 5000 -j ACCEPT",
      "-A INPUT -p udp --dport 5000 -j ACCEPT",
    ],
    ofTool: /ufw6?-/,
    open: OPEN,
    left: [
      /^policy of filter\/INPUT: it is ufw's$/,
      /^filter\/FORWARD: all rules there are ufw's$/,
      /^filter\/OUTPUT: all/,
    ],
  },
  {
    tool: "Docker",
    to: "behind",
    hook: "FORWARD",
    made: [
      "-P FORWARD DROP",
      "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
      "-A FORWARD -p tcp --dport 22 -j ACCEPT",
      "-A FORWARD -s BANNED -j DROP",
      "-A FORWARD -p udp --dport 5000 -j ACCEPT",
      "-t nat -A POSTROUTING -o eth0 -s 198.51.100.0/24 -p icmp -j MASQUERADE",
      { tool: "docker up" },
      "-t nat -A PREROUTING -p tcp --dport 8022 -j REDIRECT --to-ports 22",
      "-I FORWARD 1 -s OFFICE -p udp -j ACCEPT",
    ],
    ofTool: /DOCKER|docker0/,
    open: OPEN,
    left: [
      /^nat\/POSTROUTING: Docker keeps rules/,
      /^nat\/OUTPUT: all rules there are Docker's$/,
      /^policy of filter\/FORWARD: it is Docker's$/,
    ],
  },
];

describe
  .skipIf(obstacle !== undefined)
  .each((["nft", "legacy"] as const).flatMap((backend) => CASES.map((one) => ({ ...one, backend }))))(
  `beside $tool on $backend${why}`,
  ({ backend, to, made, ofTool, hook, open, left }) => {
    let server: TestServer;
    let tools: OtherTools;
    let outside: Outside;
    let agent: Agent | undefined;
    const control = createFakeControl();
    let issued = 0;

    afterEach(async () => {
      await agent?.close();
      await outside?.remove();
      await tools?.stop();
      await server?.remove();
    });

    async function issue(manifest: Manifest) {
      issued += 1;
      control.issue(manifest, issued);
      await waitUntil(`outcome ${issued}`, WAIT_MS, () => control.outcomes().length >= issued);
      await waitUntil("the agent at rest", WAIT_MS, () => agent?.status().state !== "applying");
      return control.outcomes()[issued - 1];
    }

    /** One that isn't says why. */
    async function isConfirmed(manifest: Manifest): Promise<void> {
      const outcome = await issue(manifest);
      expect(outcome, JSON.stringify(outcome?.refusal)).toMatchObject({ result: "confirmed" });
    }

    async function makeAll(): Promise<void> {
      for (const line of made) {
        if (typeof line !== "string") {
          await tools.run(line.tool);
          continue;
        }
        for (const [index, tool] of ["iptables", "ip6tables"].entries()) {
          if (index === 1 && line.includes("198.51.100.")) continue;
          const filled = line
            .replace("OFFICE", CLIENTS.office[index] ?? "")
            .replace("BANNED", CLIENTS.banned[index] ?? "")
            .replace("ICMP", index === 0 ? "icmp" : "ipv6-icmp");
          await server.sh(`${tool}-${backend} -w 5 ${filled}`);
        }
      }
    }

    /** With what the kernel itself knows a rule by, where it tells: a rule that was put back has another handle. */
    async function rules(): Promise<{ text: string; counters: number[] }> {
      const text =
        backend === "legacy"
          ? await server.sh("iptables-legacy-save -c; ip6tables-legacy-save -c")
          : await server.sh("nft -a list ruleset | sed -n '/^table ip/,/^}/p'");
      const counters = [...text.matchAll(/packets (\d+) bytes|^\[(\d+):\d+\] -A/gm)];
      return {
        text: text.replace(/^#.*|packets \d+ bytes \d+|\[\d+:\d+\]/gm, ""),
        counters: counters.map(([, packets, others]) => Number(packets ?? others)),
      };
    }

    async function ofOthers() {
      const { text } = await rules();
      return text.split("\n").filter((line) => ofTool.test(line) && !line.includes("SL-FORWARD"));
    }

    /** What the rule that lets the client through has counted, whosever it is now. */
    async function counted(): Promise<number[]> {
      const saved = await Promise.all(
        ["iptables", "ip6tables"].map((tool) => server.sh(`${tool}-${backend}-save -c`)),
      );
      const rule = /^\[(\d+):\d+\] -A \S+ -p udp -m udp --dport 5000 -j ACCEPT$/gm;
      return saved.map((text) =>
        Math.max(0, ...[...text.matchAll(rule)].map(([, packets]) => Number(packets))),
      );
    }

    /** No counter begins anew, but in IPv6 with nft, where iptables sets none. */
    async function goesOn(work: () => Promise<unknown>): Promise<void> {
      const [four = 0, six = 0] = await counted();
      await work();
      const [fourNow = 0, sixNow = 0] = await counted();
      expect(four).toBeGreaterThan(0);
      expect(fourNow).toBeGreaterThanOrEqual(four);
      if (backend === "legacy") expect(sixNow).toBeGreaterThanOrEqual(six);
    }

    test("rules by hand are imported, adopted and given back under traffic, and everything fares as before", async () => {
      server = await createTestServer();
      outside = await openOutside(server);
      tools = await startOtherTools(server.namespace, backend, server.env);
      await makeAll();
      const before = await server.dump(backend);
      const live = namedNamespace(server.namespace, { env: { ...server.env, ...agentEnvironment() } });
      const policy = await importedFrom(live, backend);
      const said = policy.left.map((one) => `${one.what}: ${one.why}`);
      for (const reason of left) expect(said).toContainEqual(expect.stringMatching(reason));
      expect(said).toHaveLength(left.length);
      const [inert, adopted] = [policy.compiledIn("imported"), policy.compiledIn("enforce")];

      const traffic = await outside.underTraffic(to, async () => {
        agent = await startTestAgent(server, control, { backend });
        const whole = await rules();
        const theirs = await ofOthers();
        expect(theirs.length).toBeGreaterThan(3);
        expect(await issue(inert)).toMatchObject({ result: "confirmed", stats: { writes: 0 } });
        const now = await rules();
        expect(now.text).toBe(whole.text);
        const fallen = now.counters.filter((count, index) => count < (whole.counters[index] ?? 0));
        expect(fallen).toEqual([]);

        control.confirm = async ({ phase }) =>
          phase === "preflight" ? { ok: true } : { ok: false, reason: "no" };
        await goesOn(async () => {
          expect(await issue(adopted)).toMatchObject({ result: "reverted", refusal: { step: "confirm" } });
        });
        expect(await server.dump(backend)).toBe(before);
        expect(await ofOthers()).toEqual(theirs);
        control.confirm = async () => ({ ok: true });

        await goesOn(() => isConfirmed(adopted));
        const held = await server.sh(
          `iptables-${backend} -w 5 -S ${hook}; ip6tables-${backend} -w 5 -S ${hook}`,
        );
        expect(
          held
            .split("\n")
            .filter((line) => line.startsWith("-A") && !ofTool.test(line) && !/-j SL-/.test(line)),
        ).toEqual([]);
        expect(await ofOthers()).toEqual(theirs);
        expect(agent.status().differences).toEqual([]);

        await goesOn(() => isConfirmed(inert));
        expect(await server.dump(backend)).toBe(before);
        expect(await ofOthers()).toEqual(theirs);

        await goesOn(() => isConfirmed(adopted));
        await agent.close();
        agent = undefined;
        await goesOn(async () => uninstall(await openStateFolder(`${server.folder}/state`), server.at));
        expect(await server.dump(backend)).toBe(before);
        expect(await ofOthers()).toEqual(theirs);
      });
      for (const [key, [sent, came]] of traffic) {
        expect(sent).toBeGreaterThan(100);
        expect({ key, came }).toEqual({ key, came: open.includes(key) ? sent : 0 });
      }
    }, 300_000);
  },
);
