import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { knock } from "../knock.ts";
import { policyFile } from "../policy-file.ts";
import type { Stage } from "../stage.ts";

/** A second revision, and the way back to the first; the other policies stay. */
export async function rollback({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("Rolling back one policy");
  const host = lab.fabric.host("server-3");
  const file = join(lab.folder, "firewall.yaml");
  const text = await readFile(policyFile("firewall"), "utf8");
  await writeFile(
    file,
    text.replace("-p tcp --dport 8080 -m set", "-p tcp -m multiport --dports 8080,9000 -m set"),
  );

  await knock(lab, narrator, { host, port: 9000, expect: "timeout", why: "not in revision 1" });
  await narrator.sluice("policy", "apply", "-f", file, "--reason", "9000 for the office");
  await narrator.sluice("policy", "diff", "firewall");
  const rollout = await narrator.sluice(
    "rollout",
    "start",
    "firewall",
    "--waves",
    "1,100%",
    "--reason",
    "9000 for the office",
  );
  narrator.claim("revision 2 rolled out", rollout.code === 0, `exit ${rollout.code}`);
  await knock(lab, narrator, { host, port: 9000, expect: "accepted", why: "revision 2 lets the office in" });

  const back = await narrator.sluice("rollback", "firewall", "--to", "1", "--reason", "not agreed");
  narrator.claim("rolled back to revision 1", back.code === 0, `exit ${back.code}`);
  await knock(lab, narrator, { host, port: 9000, expect: "timeout", why: "revision 1 again" });
  const again = await narrator.sluice("rollback", "firewall", "--to", "1", "--reason", "twice");
  narrator.claim("rolling back to what stands is refused", again.code === 2, `exit ${again.code}`);
  const servers = await lab.client.servers.ls.query({});
  const others = servers.every(({ assigned }) =>
    ["uplink", "guard-ssh", "mass-block"].every((name) => assigned.some(({ policy }) => policy === name)),
  );
  narrator.claim(
    "the other policies stayed on every server",
    others,
    servers.map(({ assigned }) => assigned.length).join(", "),
  );
}
