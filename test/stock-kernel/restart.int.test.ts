import { fileURLToPath } from "node:url";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { waitUntil } from "@sluice/infra/process/wait-until";
import { bootStockKernel, type StockKernel } from "@sluice/infra/stock-kernel/boot";
import { whyNoStockKernel } from "@sluice/infra/stock-kernel/requirements";
import { describe, expect, test } from "vitest";
import type { ChildOptions } from "../agents/agent-child.ts";
import { firewall } from "../agents/manifests.ts";

/**
 * A machine that loses its power, for real: a kernel of its own, killed, and another that boots on the same state folder.
 * The folder is on the host's disk, so what the first had not written there is lost.
 */
const PROGRAM = fileURLToPath(new URL("../agents/agent-child.ts", import.meta.url));
const STATE = "/var/lib/sluice";
const PATIENCE_MS = 300_000;
const FIRST = { ...firewall(), deadlineMs: 120_000 };
const SECOND = {
  ...firewall({ port: 2222, rate: "5mbit", office: ["203.0.113.0/24"] }),
  deadlineMs: 120_000,
};

interface Machine {
  kernel: StockKernel;
  dump(): Promise<string>;
  sh(command: string): Promise<string>;
  agent(options: Omit<ChildOptions, "folder">): { reached(line: string): Promise<void>; go(): void };
}

async function powerOn(disk: string): Promise<Machine> {
  const kernel = await bootStockKernel();
  async function sh(command: string): Promise<string> {
    const { code, stdout, stderr } = await kernel.run("sh", ["-c", command], { timeoutMs: 60_000 });
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
    return stdout;
  }
  await sh(`mkdir -p ${STATE} && mount -t hostfs none ${STATE} -o ${disk}`);
  await sh(
    "ip link set lo up && ip link add eth0 address 02:00:00:00:00:10 type veth peer name peer0 && ip addr add 192.0.2.10/24 dev eth0 && ip addr add 2001:db8::10/64 dev eth0 nodad && ip link set eth0 up && ip link set peer0 up",
  );
  return {
    kernel,
    sh,
    dump: async () =>
      (
        await sh(
          "iptables-legacy-save; ip6tables-legacy-save; ipset save | sort; tc qdisc show; tc class show dev eth0",
        )
      )
        .replace(/^#.*\n/gm, "")
        .replace(/\[\d+:\d+\]/g, "[0:0]")
        .replace(/ (initval|hashsize|bucketsize) \S+/g, "")
        .replace(/refcnt \d+ /g, "")
        .replace(/direct_packets_stat \d+/g, "direct_packets_stat 0")
        .replace(/\*\w+\n(:[A-Z]+ ACCEPT \[0:0\]\n)+COMMIT\n/g, ""),
    agent(options) {
      const argument = JSON.stringify({
        folder: STATE,
        backend: "legacy",
        ...options,
      } satisfies ChildOptions);
      const child = kernel.start(process.execPath, [PROGRAM, argument]);
      child.exited.catch(() => undefined); // the power goes first
      let said = "";
      child.onText((_, text) => {
        said += text;
      });
      return {
        reached: (line) =>
          waitUntil(`${line}, after: ${said.slice(-300)}`, 120_000, () => said.includes(line)),
        go: () => child.write("go\n"),
      };
    },
  };
}

const obstacle = whyNoStockKernel();
if (obstacle !== undefined) console.warn(`no stock kernel, so a loss of power isn't tried: ${obstacle}`);

describe.skipIf(obstacle !== undefined)(
  `a machine that loses its power in mid-change${obstacle ? ` (${obstacle})` : ""}`,
  () => {
    test(
      "holds after its boot what was confirmed last, before any agent runs; and the agent agrees",
      async () => {
        const disk = makePrivateDirectory("restart");
        let machine = await powerOn(disk.path);
        try {
          const changing = machine.agent({
            manifests: [FIRST, SECOND],
            stopAt: { step: "confirm" },
            answer: "yes",
          });
          await changing.reached("held 1");
          const first = await machine.dump();
          changing.go();
          await changing.reached("stopped at confirm");
          const second = await machine.dump();
          expect(second).not.toBe(first);
          await machine.kernel.cutPower();

          machine = await powerOn(disk.path);
          expect(await machine.dump()).not.toContain("SL-");
          await machine.sh(`sh ${STATE}/held/undo.sh boot ${STATE}/held`);
          expect(await machine.dump()).toBe(first);
          const next = machine.agent({
            manifests: [SECOND],
            generation: 3,
            stopAt: { step: "settle" },
            answer: "yes",
          });
          await next.reached('"generation":2');
          await next.reached("the server was restarted before the change was confirmed");
          await next.reached("stopped at settle");
          expect(await machine.dump()).toBe(second);
          await machine.kernel.cutPower();

          machine = await powerOn(disk.path);
          await machine.sh(`sh ${STATE}/held/undo.sh boot ${STATE}/held`);
          expect(await machine.dump()).toBe(second);
        } finally {
          await machine.kernel.cutPower();
          await disk.remove();
        }
      },
      PATIENCE_MS,
    );
  },
);
