import { commandIn, configure, createNamespace, deleteNamespace, execIn } from "@sluice/infra/net/namespace";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { cleanUpOnDeath } from "@sluice/infra/process/janitor";
import { waitUntil } from "@sluice/infra/process/wait-until";
import type { TestServer } from "../agents/server.ts";

/**
 * A client at a server's `eth0`, with addresses of several hosts, and a host behind the server. What the client sends and what
 * comes through the server's rules is counted, the latter by the kernel, behind all rules of iptables.
 */
export const CLIENTS = {
  client: ["192.0.2.1", "2001:db8::1"],
  office: ["192.0.2.77", "2001:db8::77"],
  banned: ["203.0.113.9", "2001:db8:bad::9"],
} as const;
export type Client = keyof typeof CLIENTS;
export const PORTS = [5000, 5001];
const SERVER = ["192.0.2.10", "2001:db8::10"];
const BEHIND = ["198.51.100.2", "2001:db8:1::2"];
const STREAM_PORT = 22;
const WAIT_MS = 60_000;
const BETWEEN_MS = 10;

const COUNT = `
table inet came {
  set four { type ipv4_addr . inet_service; flags dynamic; counter; }
  set six { type ipv6_addr . inet_service; flags dynamic; counter; }
  chain seen {
    ip protocol udp add @four { ip saddr . udp dport }
    ip6 nexthdr udp add @six { ip6 saddr . udp dport }
  }
  chain input { type filter hook input priority 300; iifname "eth0" jump seen; }
  chain forward { type filter hook forward priority 300; iifname "eth0" jump seen; }
}`;

const FLOOD = `
  const { createSocket } = require("node:dgram");
  const [, to4, to6, ports, ...from] = process.argv;
  const sent = {};
  const senders = from.map((address) => {
    const is6 = address.includes(":");
    const socket = createSocket(is6 ? "udp6" : "udp4");
    socket.bind(0, address);
    socket.on("error", () => undefined); // nobody listens, and says so
    return { address, socket, to: is6 ? to6 : to4 };
  });
  const timer = setInterval(() => {
    for (const { address, socket, to } of senders)
      for (const port of ports.split(",")) {
        const key = address + " . " + port;
        socket.send("x", Number(port), to, (error) => error || (sent[key] = (sent[key] ?? 0) + 1));
      }
  }, ${BETWEEN_MS});
  process.stdin.once("data", () => {
    clearInterval(timer);
    setTimeout(() => process.stdout.write(JSON.stringify(sent), () => process.exit()), 100);
  });
`;
const NUMBERS = `let n = 0; setInterval(() => console.log(++n), ${BETWEEN_MS})`;
const COUNT_LINES = '$1 != ++n { print "lost at " n; exit } n % 10 == 0 { print n; fflush() }';

export interface Outside {
  /** Runs it under a flood and a TCP stream; gives how many datagrams were sent, and how many came through, by `client port`. */
  underTraffic(
    to: "server" | "behind",
    work: () => Promise<void>,
  ): Promise<Map<string, [sent: number, came: number]>>;
  remove(): Promise<void>;
}

export async function openOutside(server: TestServer): Promise<Outside> {
  const [client, behind] = [`${server.namespace}-c`, `${server.namespace}-b`];
  const janitor = cleanUpOnDeath({ namespaces: [client, behind] });
  await createNamespace(client);
  await createNamespace(behind);
  await server.sh(
    [
      `ip link set peer0 netns ${client}`,
      `ip link add dmz0 type veth peer name eth0 netns ${behind}`,
      "ip addr add 198.51.100.1/24 dev dmz0 && ip addr add 2001:db8:1::1/64 dev dmz0 nodad && ip link set dmz0 up",
      "ip route add 203.0.113.0/24 dev eth0 && ip route add 2001:db8:bad::/64 dev eth0",
      "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
    ].join(" && "),
  );
  const addresses = Object.values(CLIENTS).flat();
  await configure(client, [
    "link set lo up",
    ...addresses.map(
      (address) => `addr add ${address}/${address.includes(":") ? "64" : "24"} dev peer0${nodad(address)}`,
    ),
    "link set peer0 up",
    "route add 198.51.100.0/24 via 192.0.2.10",
    "route add 2001:db8:1::/64 via 2001:db8::10",
  ]);
  await configure(behind, [
    "link set lo up",
    ...BEHIND.map(
      (address) => `addr add ${address}/${address.includes(":") ? "64" : "24"} dev eth0${nodad(address)}`,
    ),
    "link set eth0 up",
    "route add default via 198.51.100.1",
    "route add 2000::/3 via 2001:db8:1::1",
  ]);

  async function came(): Promise<Map<string, number>> {
    const text = await server.sh("nft list table inet came 2>/dev/null || true");
    const found = text.matchAll(/([\da-f.:]+ \. \d+) counter packets (\d+)/g);
    return new Map([...found].map(([, key = "", packets]) => [key, Number(packets)]));
  }

  async function listen(at: string, address: string) {
    const sender = startGuarded(
      commandIn(at, [
        ...["sh", "-c"],
        `"$0" -e "$1" | nc -l ${address} ${STREAM_PORT} & it=$!; read -r line; kill $it; wait`,
        ...[process.execPath, NUMBERS],
      ]),
    );
    await waitUntil("a server that listens", WAIT_MS, async () =>
      (await execIn(at, "ss", ["-Hltn"])).includes(`:${STREAM_PORT} `),
    );
    return sender;
  }

  return {
    async underTraffic(to, work) {
      const [four = "", six = ""] = to === "server" ? SERVER : BEHIND;
      await server.sh(`nft -f - <<'END'\n${COUNT}\nEND`);
      const sender = await listen(to === "server" ? server.namespace : behind, four);
      const read = `nc -d -s ${CLIENTS.client[0]} ${four} ${STREAM_PORT}`;
      const reader = startGuarded(commandIn(client, ["sh", "-c", `${read} | awk '${COUNT_LINES}'`]));
      const flood = startGuarded(
        commandIn(client, [process.execPath, "-e", FLOOD, four, six, PORTS.join(","), ...addresses]),
      );
      let lines = 0;
      let lost: string | undefined;
      let said = "";
      reader.stdout.on("data", (chunk) => {
        for (const line of String(chunk).split("\n").filter(Boolean))
          if (/^\d+$/.test(line)) lines = Number(line);
          else lost = line;
      });
      flood.stdout.on("data", (chunk) => {
        said += chunk;
      });
      try {
        const moves = async () => {
          const [before, packets] = [lines, await came()];
          await waitUntil("the stream and the flood", WAIT_MS, async () => {
            if (!reader.isRunning() || lost !== undefined)
              throw new Error(`the stream is broken: ${lost ?? "ended"}`);
            const now = await came();
            return lines > before && [...now].some(([key, count]) => count > (packets.get(key) ?? 0) + 50);
          });
        };
        await moves();
        await work();
        await moves();
        flood.stdin.write("\n");
        await flood.exited;
        const sent: Record<string, number> = JSON.parse(said);
        const through = await came();
        return new Map(
          Object.entries(sent).map(([key, count]) => [nameOf(key), [count, through.get(key) ?? 0]]),
        );
      } finally {
        sender.stdin.write("\n");
        await Promise.all([flood.stop(), reader.stop(), sender.stop()]);
        await server.sh("nft delete table inet came");
      }
    },
    async remove() {
      await deleteNamespace(client);
      await deleteNamespace(behind);
      janitor.release();
    },
  };
}

/** `office6 5000` */
function nameOf(key: string): string {
  const [address = "", port] = key.split(" . ");
  const name = Object.entries(CLIENTS).find(([, own]) => own.some((one) => one === address))?.[0];
  return `${name}${address.includes(":") ? 6 : 4} ${port}`;
}

function nodad(address: string): string {
  return address.includes(":") ? " nodad" : "";
}
