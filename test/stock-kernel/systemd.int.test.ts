import { fileURLToPath } from "node:url";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { bootStockKernel, type StockKernel } from "@sluice/infra/stock-kernel/boot";
import { whyNoStockKernel } from "@sluice/infra/stock-kernel/requirements";
import { describe, expect, test } from "vitest";
import type { ChildOptions } from "../agents/agent-child.ts";
import { firewall } from "../agents/manifests.ts";

/** A server with systemd as PID 1 and the units of infra/systemd, of which only the agent's command is another. */
const AGENT = fileURLToPath(new URL("../agents/agent-child.ts", import.meta.url));
const UNITS = fileURLToPath(new URL("../../infra/systemd", import.meta.url));
const STATE = "/var/lib/sluice";
/** far away: how quick this kernel is depends on who else is at work, so the test says when it has come */
const DEADLINE_MS = 900_000;
const WAIT_MS = 240_000;
const PATIENCE_MS = 900_000;
const FIRST = { ...firewall(), deadlineMs: DEADLINE_MS };
const SECOND = { ...firewall({ port: 2222, rate: "5mbit" }), deadlineMs: DEADLINE_MS };
/** they fill their tables, as their packages order them, and take their time */
const OTHERS = ["nftables", "netfilter-persistent", "ufw"];
const DUMP =
  "iptables-legacy-save; ip6tables-legacy-save; ipset save | sort; tc qdisc show dev eth0; tc class show dev eth0";

const RUNNER = 'systemctl list-units --plain --no-legend --state=running "sluice-undo-*" | sed "s/ .*//"';

const other = (name: string) => `
cat >/etc/systemd/system/${name}.service <<'END'
[Unit]
DefaultDependencies=no
Before=network-pre.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'sleep 1; iptables-legacy -w 5 -A INPUT -p icmp -m comment --comment ${name} -j ACCEPT'
END
ln -s ../${name}.service /etc/systemd/system/guest.target.wants/`;

/** What is in the root before systemd runs. */
function prepare(disk: string): string {
  return `
mkdir -p ${STATE} /etc/systemd/system/guest.target.wants /etc/systemd/system/sluice-agent.service.d
mount -t hostfs none ${STATE} -o ${disk}
ip link set lo up
ip link add eth0 address 02:00:00:00:00:10 type veth peer name peer0
ip addr add 192.0.2.10/24 dev eth0
ip addr add 2001:db8::10/64 dev eth0 nodad
ip link set eth0 up
ip link set peer0 up
cp ${UNITS}/*.service /etc/systemd/system/
ln -s ../sluice-boot.service /etc/systemd/system/guest.target.wants/
cat >/etc/systemd/system/sluice-agent.service.d/command.conf <<'END'
[Service]
ExecStart=
ExecStart=/bin/sh /etc/agent
# so that nobody but the runner undoes
Restart=no
END
mkfifo /run/agent-in
cat >/etc/agent <<'END'
exec ${process.execPath} ${AGENT} "$(cat /run/agent-options)" <>/run/agent-in >/run/agent-out 2>&1
END
${OTHERS.map(other).join("\n")}
cat >/etc/systemd/system/a-network.service <<'END'
[Unit]
DefaultDependencies=no
After=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '{ ${DUMP}; } >/run/at-network'
END
ln -s ../a-network.service /etc/systemd/system/guest.target.wants/
`;
}

interface Machine {
  kernel: StockKernel;
  sh(command: string): Promise<string>;
  dump(): Promise<string>;
  /** waits for a condition of the shell */
  becomes(condition: string): Promise<void>;
  /** starts its unit */
  startAgent(options: Omit<ChildOptions, "folder">): Promise<void>;
  agentSays(line: string): Promise<void>;
}

async function powerOn(disk: string): Promise<Machine> {
  const kernel = await bootStockKernel({
    systemd: { prepare: prepare(disk) },
    memoryMib: 512,
    timeoutMs: WAIT_MS,
  });
  async function sh(command: string, input = ""): Promise<string> {
    const { code, stdout, stderr } = await kernel.run("sh", ["-c", command], {
      input,
      timeoutMs: WAIT_MS + 60_000,
    });
    if (code !== 0) throw new Error(`${command}: ${stderr}`);
    return stdout;
  }
  /** asked within the guest: each question from outside is a process on its one processor */
  async function becomes(condition: string): Promise<void> {
    const wait = `timeout ${WAIT_MS / 1000} sh -c 'until ${condition}; do sleep 0.3; done'`;
    await sh(
      `${wait} || { tail -n 5 /run/agent-out; systemctl --no-pager status 'sluice*' guest.target; exit 9; } >&2`,
    );
  }
  await becomes("systemctl -q is-active a-network.service");
  return {
    kernel,
    sh,
    dump: async () => comparable(await sh(DUMP)),
    becomes,
    agentSays: (line) => becomes(`grep -qF "${line}" /run/agent-out`),
    async startAgent(options) {
      const text = JSON.stringify({ folder: STATE, backend: "legacy", ...options } satisfies ChildOptions);
      await sh("rm -f /run/agent-out; cat >/run/agent-options", text);
      await sh("systemctl start sluice-agent.service");
    },
  };
}

function comparable(dump: string): string {
  return dump
    .replace(/^#.*\n/gm, "")
    .replace(/\[\d+:\d+\]/g, "[0:0]")
    .replace(/ (initval|hashsize|bucketsize) \S+/g, "")
    .replace(/refcnt \d+ /g, "")
    .replace(/direct_packets_stat \d+/g, "direct_packets_stat 0")
    .replace(/\*\w+\n(:[A-Z]+ ACCEPT \[0:0\]\n)+COMMIT\n/g, "");
}

/** The undo runner's unit, if it runs. */
async function undoUnit({ sh }: Machine): Promise<string> {
  return await sh(RUNNER);
}

async function isUndoneAtDeadline(machine: Machine, first: string): Promise<void> {
  await machine.sh(`printf '000000000000000 kill ' 1<>${STATE}/undo/orders`);
  await machine.becomes(`test -z "$(${RUNNER})"`);
  expect(await machine.dump()).toBe(first);
  expect(await machine.sh(`cat ${STATE}/undo/outcome`)).toContain("reverted");
}

/** When a unit began to start and had started, in microseconds since boot. */
async function times({ sh }: Machine, unit: string): Promise<{ began: number; done: number }> {
  const shown = await sh(
    `systemctl show -P InactiveExitTimestampMonotonic -P ActiveEnterTimestampMonotonic ${unit}`,
  );
  const [began = 0, done = 0] = shown.trim().split("\n").map(Number);
  return { began, done };
}

const obstacle = whyNoStockKernel();
if (obstacle !== undefined) console.warn(`no stock kernel, so systemd's units aren't tried: ${obstacle}`);

describe.skipIf(obstacle !== undefined)(`under systemd${obstacle ? ` (${obstacle})` : ""}`, () => {
  test(
    "a change is undone by a unit of its own though the agent's is stopped or killed for its memory; a boot brings back what was confirmed, after others' rules and before the network",
    async () => {
      const disk = makePrivateDirectory("systemd");
      let machine = await powerOn(disk.path);
      try {
        await machine.startAgent({
          manifests: [FIRST, SECOND],
          stopAt: { step: "confirm" },
          answer: "yes",
        });
        await machine.agentSays("held 1");
        const first = await machine.dump();
        expect(first).toContain("-A INPUT -j SL-INPUT");

        // the agent's unit is stopped in mid-change
        await machine.sh("echo go >/run/agent-in");
        await machine.agentSays("stopped at confirm");
        const second = await machine.dump();
        expect(second).not.toBe(first);
        const runner = await undoUnit(machine);
        expect(runner).toMatch(/^sluice-undo-\d+-\d+\.service\n$/);
        await machine.sh("systemctl stop sluice-agent.service");
        expect(await undoUnit(machine)).toBe(runner);
        expect(await machine.dump()).toBe(second);
        await isUndoneAtDeadline(machine, first);

        // the agent hits its unit's memory limit in mid-change
        await machine.startAgent({
          manifests: [SECOND],
          generation: 3,
          stopAt: { step: "confirm" },
          answer: "yes",
        });
        await machine.agentSays("stopped at confirm");
        await machine.sh(
          "systemctl set-property --runtime sluice-agent.service MemoryMax=8M MemorySwapMax=0",
        );
        await machine.becomes("systemctl show -P Result sluice-agent.service | grep -q oom-kill");
        expect(await undoUnit(machine)).not.toBe("");
        expect(await machine.dump()).toBe(second);
        await isUndoneAtDeadline(machine, first);
        await machine.kernel.cutPower();

        machine = await powerOn(disk.path);
        const atNetwork = comparable(await machine.sh("cat /run/at-network"));
        expect(atNetwork).toBe(await machine.dump());
        const rules = atNetwork.split("\n").filter((line) => line.startsWith("-A INPUT"));
        expect(rules[0]).toBe("-A INPUT -j SL-INPUT");
        for (const name of OTHERS) expect(rules.join("\n")).toContain(`--comment ${name} -j ACCEPT`);
        // the others come in no order of their own
        const ours = (text: string) => text.split("\n").filter((line) => !line.includes("--comment"));
        expect(ours(atNetwork)).toEqual(ours(first));
        const boot = await times(machine, "sluice-boot.service");
        for (const name of OTHERS)
          expect((await times(machine, `${name}.service`)).done).toBeLessThanOrEqual(boot.began);
        expect((await times(machine, "network-pre.target")).done).toBeGreaterThanOrEqual(boot.done);
        expect(boot.done).toBeGreaterThan(boot.began);
      } finally {
        await machine.kernel.cutPower();
        await disk.remove();
      }
    },
    PATIENCE_MS,
  );
});
