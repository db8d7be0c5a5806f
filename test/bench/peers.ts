import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openRehearsal, type RehearsalNamespace } from "@sluice/agents/exec/rehearsal-namespace";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { runCommand } from "@sluice/infra/process/run-command";
import type { Bench, BenchContext } from "./bench.ts";
import { applyPolicy, completed, startBenchLab, startRollout } from "./bench-lab.ts";
import { ratio, row } from "./figures.ts";
import { inTurn, timeMs } from "./in-turn.ts";
import { openPeerTools, type PeerTool } from "./peer-tools.ts";
import { raw } from "./raw.ts";

const RULES = 100;
const SERVERS = 4;
/** a task per rule takes half a minute on two cores of its own, and many where they are shared */
const PATIENCE_S = 1_800;
/** ends Ansible with its workers: one that is killed alone leaves them waiting for it */
const TOGETHER = ["setpriv", "--pdeathsig", "TERM", "timeout", "-k", "5", String(PATIENCE_S)];
/** with a state of its own, else it would take this machine's own shorewall for its past */
const SHOREWALL = 'shorewall compile "$1" "$2" && VARDIR="$3" "$2" reload';
/** shorewall wants a device for its zone */
const DEVICE = "link add eth0 type veth peer name peer0\naddr add 192.0.2.1/24 dev eth0\nlink set eth0 up\n";

/** A tool that people use today: it makes the rules stand on all servers, from a state with other rules. */
interface Peer {
  label: string;
  program: string;
  /** at most so many runs: a minute each */
  runs: number;
  apply(at: Stage, rules: readonly string[]): Promise<void>;
}

/** What a peer works with. */
interface Stage {
  tool: PeerTool;
  servers: readonly RehearsalNamespace[];
  folder: string;
}

const PEERS: readonly Peer[] = [
  { label: "Ansible, a task per rule", program: "ansible-playbook", runs: 1, apply: ansibleLoop },
  { label: "Ansible, copy and restore", program: "ansible-playbook", runs: 3, apply: ansibleCopy },
  { label: "ferm", program: "ferm", runs: 10, apply: ferm },
  { label: "shorewall", program: "shorewall", runs: 3, apply: shorewall },
];

export const peers: Bench = {
  name: "peers",
  what: `${RULES} new rules enforced on four servers, rehearsed, verified, confirmed and recorded, against tools that write them`,
  runs: 10,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const servers: RehearsalNamespace[] = [];
    for (let n = 0; n < SERVERS; n += 1) servers.push(owner.use(await openRehearsal()));
    for (const server of servers) await raw(server, "ip", ["-batch", "-"], DEVICE);
    const folder = owner.use(makePrivateDirectory("bench"));
    const times = new Map<string, number[]>();
    context.progress("getting the tools");
    const tools = await openPeerTools(owner);
    for (const { label, program, runs, apply } of PEERS) {
      const tool = tools.found.get(program);
      if (tool === undefined) continue;
      context.progress(label);
      const few = { ...context, runs: Math.min(context.runs, runs) };
      let revision = 0;
      const once = async () => {
        const rules = rulesOf(++revision);
        const ms = await timeMs(() => apply({ tool, servers, folder: folder.path }, rules));
        for (const server of servers) await expectRules(server, rules);
        return ms;
      };
      // one that takes minutes isn't warmed up
      times.set(label, runs === 1 ? [await once()] : (await inTurn(few, { peer: once })).peer);
      for (const server of servers)
        for (const iptables of ["iptables-nft", "iptables-legacy"]) await raw(server, iptables, ["-F"]);
    }
    const ours = await rollouts(context);
    return {
      rows: [
        row("Sluice: rollout started → completed", "ms", ours.whole),
        row("Sluice: the apply phase of a server", "ms", ours.apply),
        ...[...times].map(([label, samples]) => row(label, "ms", samples)),
      ],
      ratios: [...times].flatMap(([label, samples]) => ratiosOf(label, samples, ours)),
      notes: [
        "each peer writes 100 IPv4 rules on four namespaces of this machine at once, over its local connection; Sluice writes them for both families",
        "shorewall compiles and starts on each server; where it isn't installed, its files are brought into /usr first, some ms",
        ...[...tools.missing].map(([program, reason]) => `left out: ${program}: ${reason}`),
      ],
    };
  },
};

function ratiosOf(label: string, samples: readonly number[], ours: { whole: number[]; apply: number[] }) {
  const [first = Number.NaN] = samples;
  // few runs of the slow ones: each of ours against their quickest
  const peer = ours.whole.map((_, index) => samples[index] ?? Math.min(first, ...samples));
  switch (label) {
    case "Ansible, a task per rule":
      return [ratio(`${label} / Sluice's rollout`, peer, ours.whole, { atLeast: 150 })];
    case "Ansible, copy and restore":
      return [ratio(`${label} / Sluice's rollout`, peer, ours.whole, { atLeast: 10 })];
    case "ferm":
      return [
        ratio("Sluice's apply phase / ferm", ours.apply.slice(0, peer.length), peer, { atMost: 1 }),
        ratio("Sluice's rollout / ferm", ours.whole, peer),
      ];
    default:
      return [ratio(`Sluice's rollout / ${label}`, ours.whole, peer)];
  }
}

/** Whole rollouts in a lab, and how long each took to write on its slowest server. */
async function rollouts(context: BenchContext): Promise<{ whole: number[]; apply: number[] }> {
  await using owner = new AsyncDisposableStack();
  const lab = await startBenchLab(context, owner);
  context.progress("rollouts");
  const apply: number[] = [];
  let revision = 0;
  const { whole } = await inTurn(context, {
    whole: async () => {
      await applyPolicy(lab, policyText(rulesOf(++revision)));
      const begun = performance.now();
      const view = await completed(lab, await startRollout(lab, "bench"));
      apply.push(Math.max(...view.servers.map(({ stats }) => stats?.phasesMs.apply ?? Number.NaN)));
      return performance.now() - begun;
    },
  });
  return { whole, apply: apply.slice(1) };
}

function rulesOf(revision: number): string[] {
  return Array.from({ length: RULES }, (_, index) => {
    const port = 10_000 + (revision % 50) * RULES + index;
    return `-p ${index % 2 === 0 ? "tcp" : "udp"} -m ${index % 2 === 0 ? "tcp" : "udp"} --dport ${port} -j DROP`;
  });
}

function policyText(rules: readonly string[]): string {
  const lines = rules.map((args) => `      - ${args}`);
  const head = ["policy: bench", 'targets: { servers: ["*"] }', "firewall:", "  filter:", "    INPUT:"];
  return [...head, ...lines, "reach: [tcp/22]", ""].join("\n");
}

async function ansibleLoop(at: Stage, rules: readonly string[]): Promise<void> {
  const items = rules.map((rule) => {
    const [, protocol = "", , , , port = ""] = rule.split(" ");
    return `      - { protocol: ${protocol}, port: "${port}" }`;
  });
  await playbook(at, [
    "    - ansible.builtin.iptables: { chain: INPUT, flush: true }",
    "    - ansible.builtin.iptables:",
    "        chain: INPUT",
    '        protocol: "{{ item.protocol }}"',
    '        match: "{{ item.protocol }}"',
    '        destination_port: "{{ item.port }}"',
    "        jump: DROP",
    "      loop:",
    ...items.map((item) => `  ${item}`),
  ]);
}

async function ansibleCopy(at: Stage, rules: readonly string[]): Promise<void> {
  const { folder } = at;
  await writeFile(join(folder, "rules"), restoreText(rules));
  await playbook(at, [
    `    - ansible.builtin.copy: { src: ${folder}/rules, dest: "${folder}/rules-{{ inventory_hostname }}" }`,
    `    - ansible.builtin.command: "{{ enter }} iptables-restore ${folder}/rules-{{ inventory_hostname }}"`,
  ]);
}

async function playbook({ tool, servers, folder }: Stage, tasks: readonly string[]): Promise<void> {
  const hosts = servers.map(({ pid }, index) => {
    const enter = `nsenter --net=/proc/${pid}/ns/net`;
    return `server-${index} ansible_connection=local enter="${enter}" ansible_python_interpreter="${enter} /usr/bin/python3"`;
  });
  await writeFile(join(folder, "hosts"), `${hosts.join("\n")}\n`);
  await writeFile(
    join(folder, "play.yaml"),
    ["- hosts: all", "  gather_facts: false", "  tasks:", ...tasks, ""].join("\n"),
  );
  const [command = "", ...words] = [
    ...TOGETHER,
    ...tool.start,
    "-i",
    join(folder, "hosts"),
    join(folder, "play.yaml"),
  ];
  await runCommand(command, words, {
    timeoutMs: (PATIENCE_S + 10) * 1000,
    env: { ...process.env, ANSIBLE_NOCOLOR: "1", HOME: folder },
  });
}

async function ferm({ tool, servers, folder }: Stage, rules: readonly string[]): Promise<void> {
  const lines = rules.map((rule) => {
    const [, protocol = "", , , , port = ""] = rule.split(" ");
    return `proto ${protocol} mod ${protocol} dport ${port} DROP;`;
  });
  const path = join(folder, "ferm.conf");
  await writeFile(path, `domain ip table filter chain INPUT {\n${lines.join("\n")}\n}\n`);
  const [command = "", ...words] = [...tool.start, path];
  await Promise.all(servers.map((server) => raw(server, command, words)));
}

async function shorewall({ tool, servers, folder: parent }: Stage, rules: readonly string[]): Promise<void> {
  const folder = join(parent, "shorewall"); // it reads every file beside its own
  await mkdir(folder, { recursive: true });
  const files: Record<string, string> = {
    // it makes its log private, so never name one that others use
    "shorewall.conf": `STARTUP_ENABLED=Yes\nIP_FORWARDING=Keep\nSTARTUP_LOG=${parent}/shorewall.log\nLOGFILE=${parent}/messages\nMODULESDIR=${parent}/no-modules\n`,
    zones: "fw firewall\nnet ipv4\n",
    interfaces: "?FORMAT 2\nnet eth0 optional\n",
    policy: "fw net ACCEPT\nnet all ACCEPT\nall all ACCEPT\n",
    rules: rules
      .map((rule) => rule.split(" "))
      .map(([, protocol = "", , , , port = ""]) => `DROP net fw ${protocol} ${port}\n`)
      .join(""),
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await Promise.all(
    servers.map(async (server, index) => {
      const script = join(parent, `firewall-${index}`);
      const words = ["sh", "-c", SHOREWALL, "sh", folder, script, await stateOf(parent, index)];
      const [command = "", ...args] = [...tool.room, ...words];
      await raw(server, command, args);
    }),
  );
}

async function stateOf(folder: string, index: number): Promise<string> {
  const path = join(folder, `state-${index}`);
  await mkdir(path, { recursive: true });
  return path;
}

function restoreText(rules: readonly string[]): string {
  return ["*filter", ":INPUT ACCEPT [0:0]", ...rules.map((rule) => `-A INPUT ${rule}`), "COMMIT", ""].join(
    "\n",
  );
}

/** Whichever chains, and backend, they stand in: ferm takes the legacy one where both are there. */
async function expectRules(server: RehearsalNamespace, rules: readonly string[]): Promise<void> {
  const saves = ["iptables-nft-save", "iptables-legacy-save"].map((save) => raw(server, save, []));
  const saved = (await Promise.all(saves)).join("");
  const ports = new Set([...saved.matchAll(/ --dports? (\d+) .*-j DROP$/gm)].map(([, port]) => port));
  const missing = rules.find((rule) => !ports.has(rule.split(" ")[5]));
  if (missing !== undefined) throw new Error(`${missing} isn't there`);
}
