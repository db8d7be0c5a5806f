import { packetsOf } from "../kernel.ts";
import { knock } from "../knock.ts";
import { policyFile } from "../policy-file.ts";
import type { Stage } from "../stage.ts";

const BAD = { ipv4: "203.0.113.66", ipv6: "2001:db8:66::1" };
const STRANGER = { ipv4: "203.0.113.9", ipv6: "2001:db8:9::9" };

/** A stateful filter with logging, default drop, the wanted ways in. */
export async function firewall({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("A stateful firewall with logging");
  const client = lab.fabric.host("client");
  const server = lab.fabric.host("server-1");
  for (const { ipv4, ipv6 } of [BAD, STRANGER]) {
    await lab.fabric.addAddress(client, `${ipv4}/32`);
    await lab.fabric.addAddress(client, `${ipv6}/128`);
  }
  const running = await lab.outside.open({ to: server.ipv4, port: 22 });

  await narrator.sluice("policy", "apply", "-f", policyFile("firewall"), "--reason", "default drop");
  await narrator.sluice("plan", "firewall", "--server", "server-1");
  const rollout = await narrator.sluice(
    "rollout",
    "start",
    "firewall",
    "--waves",
    "1,100%",
    "--reason",
    "default drop",
  );
  narrator.claim("rolled out to four servers", rollout.code === 0, `exit ${rollout.code}`);

  const alive = await running.echo("still there?");
  narrator.claim("a connection from before the change lives on", alive.outcome === "answered", alive.outcome);
  await running.close();

  for (const host of lab.fabric.servers) {
    await knock(lab, narrator, { host, port: 22, expect: "accepted", why: "ssh is wanted" });
    await knock(lab, narrator, { host, port: 9999, expect: "timeout", why: "nothing said it may come in" });
  }
  for (const family of [4, 6] as const) {
    const from = (who: typeof BAD) => (family === 4 ? who.ipv4 : who.ipv6);
    const base = { host: server, family };
    await knock(lab, narrator, {
      ...base,
      port: 22,
      from: from(BAD),
      expect: "timeout",
      why: "a dropped source",
    });
    await knock(lab, narrator, {
      ...base,
      port: 22,
      from: from(STRANGER),
      expect: "accepted",
      why: "anybody may try ssh",
    });
    await knock(lab, narrator, {
      ...base,
      port: 8080,
      from: from(STRANGER),
      expect: "timeout",
      why: "8080 is for the office",
    });
    await knock(lab, narrator, {
      ...base,
      port: 8080,
      expect: "refused",
      why: "the office gets through, nobody listens",
    });
  }

  const logged = await packetsOf(server.namespace, "filter", "sluice out ");
  await lab.stations.get("server-1")?.connect({ to: client.ipv4, port: 4444 });
  const more = (await packetsOf(server.namespace, "filter", "sluice out ")) - logged;
  narrator.claim("an outgoing connection on eth0 passes the LOG rule", more > 0, `${more} packets more`);
  const dropped = await packetsOf(server.namespace, "filter", "sluice dropped ");
  narrator.claim("what the default drops is logged", dropped > 0, `${dropped} packets`);
}
