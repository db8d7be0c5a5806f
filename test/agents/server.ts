import { namedNamespace } from "@sluice/agents/exec/named-namespace";
import type { Namespace } from "@sluice/agents/exec/namespace";
import { configure, createNamespace, deleteNamespace, execIn } from "@sluice/infra/net/namespace";
import { cleanUpOnDeath } from "@sluice/infra/process/janitor";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";

/** A network namespace that plays a server: `eth0` with both families, its peer in the same namespace. */
export interface TestServer {
  readonly namespace: string;
  readonly at: Namespace;
  readonly env: Record<string, string>;
  /** a folder of its own, for the agent's state */
  readonly folder: string;
  /** runs a command in it and returns stdout; throws when it fails */
  sh(command: string): Promise<string>;
  /** all of iptables, ipset and tc, as text that can be compared: no counters, no comments */
  dump(backend?: "nft" | "legacy"): Promise<string>;
  remove(): Promise<void>;
}

let made = 0;

export async function createTestServer(): Promise<TestServer> {
  const namespace = `slt-${process.pid}-${++made}`;
  const directory = makePrivateDirectory("agent");
  const janitor = cleanUpOnDeath({ namespaces: [namespace] });
  await createNamespace(namespace);
  await configure(namespace, [
    "link set lo up",
    // one card for all, so that what they hold can be compared
    "link add eth0 address 02:00:00:00:00:10 type veth peer name peer0",
    "addr add 192.0.2.10/24 dev eth0",
    "addr add 2001:db8::10/64 dev eth0 nodad",
    "link set eth0 up",
    "link set peer0 up",
  ]);
  const env = { XTABLES_LOCKFILE: `${directory.path}/xtables.lock` };
  const sh = (command: string) =>
    execIn(namespace, "sh", ["-c", command], { env: { ...process.env, ...env } });

  return {
    namespace,
    at: namedNamespace(namespace, { env }),
    env,
    folder: directory.path,
    sh,
    async dump(backend = "nft") {
      const text = await sh(
        `iptables-${backend}-save; ip6tables-${backend}-save; ipset save;` +
          "tc qdisc show; tc class show dev eth0; tc filter show dev eth0; tc filter show dev eth0 ingress;" +
          "ip -br link show type ifb | cut -d' ' -f1",
      );
      return comparable(text);
    },
    async remove() {
      await deleteNamespace(namespace);
      await directory.remove();
      janitor.release();
    },
  };
}

/**
 * Without what differs by itself: counters, dates, empty tables that the tool makes by looking, the kernel's numbers, and
 * the order of sets and their members.
 */
function comparable(text: string): string {
  return sortSets(text.split("\n"))
    .filter((line) => !line.startsWith("#"))
    .map((line) =>
      line
        .replace(/\[\d+:\d+\]/, "[0:0]")
        .replace(/ (initval|hashsize|bucketsize) \S+/g, "")
        .replace(/refcnt \d+ /, "")
        .replace(/index \d+ ref/, "index 1 ref")
        .replace(/direct_packets_stat \d+/, "direct_packets_stat 0"),
    )
    .join("\n")
    .replace(/\*\w+\n(:[A-Z]+ ACCEPT \[0:0\]\n)+COMMIT\n/g, "");
}

function sortSets(lines: readonly string[]): string[] {
  const isOfSet = (line: string) => /^(create|add) /.test(line);
  return [...lines.filter((line) => !isOfSet(line)), ...lines.filter(isOfSet).sort()];
}
