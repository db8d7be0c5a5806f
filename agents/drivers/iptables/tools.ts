import { existsSync } from "node:fs";
import type { Family } from "@sluice/proto/base/names";

export type IptablesBackend = "nft" | "legacy";

export function otherBackend(backend: IptablesBackend): IptablesBackend {
  return backend === "nft" ? "legacy" : "nft";
}

const FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin"];

/**
 * The command for a family and a backend: `ip6tables-nft-restore` where the machine has both backends, else the plain
 * `ip6tables-restore`, which then is of the only backend there is.
 */
export function iptablesTool(backend: IptablesBackend, family: Family, verb?: "save" | "restore"): string {
  const base = family === 4 ? "iptables" : "ip6tables";
  const end = verb === undefined ? "" : `-${verb}`;
  const variant = `${base}-${backend}${end}`;
  return FOLDERS.some((folder) => existsSync(`${folder}/${variant}`)) ? variant : `${base}${end}`;
}
