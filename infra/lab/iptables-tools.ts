import { existsSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";

/** Debian's machines have both; which of them plain `iptables` is, `update-alternatives` decides. */
export type IptablesBackend = "nft" | "legacy";

const FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/sbin"];
const VERBS = ["", "-save", "-restore"];

/**
 * A folder in which plain `iptables`, `ip6tables-save` and so on are of one backend, to stand first in a PATH: as
 * `update-alternatives` does it for a machine, here for one server of it.
 */
export async function iptablesToolsIn(folder: string, backend: IptablesBackend): Promise<string> {
  const tools = join(folder, `iptables-${backend}`);
  await mkdir(tools, { recursive: true });
  for (const base of ["iptables", "ip6tables"])
    for (const verb of VERBS)
      await symlink(programOf(`${base}-${backend}${verb}`), join(tools, `${base}${verb}`));
  return tools;
}

function programOf(name: string): string {
  const folder = FOLDERS.find((one) => existsSync(join(one, name)));
  if (folder === undefined)
    throw new Error(`this machine has no ${name}; install it with: apt-get install iptables`);
  return join(folder, name);
}
