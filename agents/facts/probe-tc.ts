import type { Namespace } from "../exec/namespace.ts";

/** Shaping: which kinds of qdisc and filter this kernel takes, and whether incoming traffic can go through an IFB. */
export interface TcAbilities {
  qdiscs: string[];
  filters: string[];
  ifb: boolean;
}

const DEVICE = "slprobe0";
const IFB = "slprobe-ifb";

/** Each with the arguments without which tc itself would refuse it. */
const QDISCS: Readonly<Record<string, string>> = {
  bfifo: "limit 15000",
  cake: "",
  choke: "limit 100 min 20 max 60 avpkt 1000 burst 30 bandwidth 10mbit",
  codel: "",
  drr: "",
  fq: "",
  fq_codel: "",
  fq_pie: "",
  hfsc: "default 1",
  hhf: "",
  htb: "default 1",
  netem: "delay 1ms",
  pfifo: "limit 10",
  pfifo_fast: "",
  pfifo_head_drop: "limit 10",
  pie: "",
  prio: "",
  qfq: "",
  red: "limit 60000 min 5000 max 20000 avpkt 1000 burst 10 bandwidth 10mbit",
  sfb: "",
  sfq: "perturb 10",
  tbf: "rate 1mbit burst 5000 limit 9000",
};

const FILTERS: Readonly<Record<string, string>> = {
  basic: "classid 1:1",
  bpf: "bytecode '1,6 0 0 65535,' flowid 1:1",
  flower: "classid 1:1",
  fw: "classid 1:1",
  matchall: "classid 1:1",
  u32: "match u32 0 0 flowid 1:1",
};

const REDIRECT = `u32 match u32 0 0 action mirred egress redirect dev ${IFB}`;

export async function probeTc(room: Namespace): Promise<TcAbilities> {
  const links = [
    `link add name ${DEVICE} type veth peer name slprobe1`,
    `link set dev ${DEVICE} up`,
    `link add name ${IFB} type ifb`,
  ];
  // loaded by the first IFB, the module would put two devices of its own into the live namespace
  await room.run("modprobe", ["-q", "ifb", "numifbs=0"]).catch(() => undefined);
  const linked = await accepted(room, "ip", links);
  const tries: { name: string; line: string }[] = [];
  for (const [kind, args] of Object.entries(QDISCS))
    tries.push(
      { name: `qdisc ${kind}`, line: `qdisc add dev ${DEVICE} root handle 1: ${kind} ${args}` },
      { name: "", line: `qdisc del dev ${DEVICE} root` },
    );
  tries.push({ name: "qdisc ingress", line: `qdisc add dev ${DEVICE} handle ffff: ingress` });
  // filters that send to a class need one; where there is no htb there is nothing to send to
  tries.push({ name: "", line: `qdisc add dev ${DEVICE} root handle 1: htb` });
  tries.push({ name: "", line: `class add dev ${DEVICE} parent 1: classid 1:1 htb rate 1mbit` });
  for (const [index, [kind, args]] of Object.entries(FILTERS).entries())
    tries.push({ name: `filter ${kind}`, line: filterLine("parent 1:", index + 1, `${kind} ${args}`, kind) });
  tries.push({ name: "redirect", line: filterLine("parent ffff:", 1, REDIRECT, "u32") });

  const taken = await accepted(
    room,
    "tc",
    tries.map((one) => one.line),
  );
  const names = tries.filter((_, index) => taken.has(index)).map((one) => one.name);
  const ofKind = (prefix: string) =>
    names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return {
    qdiscs: ofKind("qdisc ").sort(),
    filters: ofKind("filter ").sort(),
    ifb: linked.has(2) && names.includes("redirect"),
  };
}

function filterLine(parent: string, prio: number, rest: string, kind: string): string {
  const handle = kind === "u32" ? "::1" : "1";
  return `filter add dev ${DEVICE} ${parent} protocol all prio ${prio} handle ${handle} ${rest}`;
}

/** The lines (from 0) of a batch that weren't refused. */
async function accepted(room: Namespace, tool: "ip" | "tc", lines: readonly string[]): Promise<Set<number>> {
  const { stderr } = await room.run(tool, ["-force", "-batch", "-"], { input: `${lines.join("\n")}\n` });
  const failed = new Set(
    [...stderr.matchAll(/^Command failed -:(\d+)$/gm)].map((match) => Number(match[1]) - 1),
  );
  return new Set(lines.keys().filter((index) => !failed.has(index)));
}
