import { fitsName, isExempt } from "@sluice/proto/manifest/exempt";
import type { TableName } from "@sluice/proto/manifest/manifest";

/** What is changed by a running tool all the time: a policy that held it would fight with that tool. */
export interface Tool {
  tool: string;
  /** of its chains and sets, with * and ? */
  names: readonly string[];
  /** of its devices, and the hooks in which it has rules about them */
  devices?: { names: readonly string[]; hooks: readonly string[] };
  /** the hooks (or all) in which rules of its name nothing of its, so that they can't be told from others' */
  mixes?: "all" | readonly string[];
  /** the built-in chains of filter whose policy it sets */
  policies?: readonly string[];
}

const NAT = ["nat/PREROUTING", "nat/INPUT", "nat/OUTPUT", "nat/POSTROUTING"];
const TOOLS: readonly Tool[] = [
  {
    tool: "Docker",
    names: ["DOCKER", "DOCKER-*"],
    devices: { names: ["docker*", "br-????????????"], hooks: ["filter/FORWARD", ...NAT] },
    mixes: ["nat/POSTROUTING"],
    policies: ["FORWARD"],
  },
  { tool: "fail2ban", names: ["f2b-*", "fail2ban-*"] },
  { tool: "ufw", names: ["ufw-*", "ufw6-*"], policies: ["INPUT", "FORWARD", "OUTPUT"] },
  {
    tool: "firewalld",
    names: [
      ...["IN_*", "FWD_*", "FWDI_*", "FWDO_*", "POST_*", "PRE_*"],
      ...["INPUT_*", "FORWARD_*", "OUTPUT_*", "PREROUTING_*", "POSTROUTING_*"],
    ],
    mixes: "all",
  },
  { tool: "Kubernetes", names: ["KUBE-*", "CNI-*"], mixes: "all" },
  { tool: "Calico", names: ["cali-*", "cali????*"], mixes: "all" },
  {
    tool: "libvirt",
    names: ["LIBVIRT_*"],
    devices: {
      names: ["virbr*"],
      hooks: ["filter/INPUT", "filter/FORWARD", "filter/OUTPUT", "mangle/POSTROUTING"],
    },
    mixes: NAT,
  },
  { tool: "Tailscale", names: ["ts-*"] },
  { tool: "sshguard", names: ["sshguard*"] },
  { tool: "psad", names: ["PSAD_*"] },
  { tool: "CrowdSec", names: ["CROWDSEC*", "crowdsec*"] },
];

/** The tool that has a chain, a set or a device of this name. */
export function toolOf(name: string): string | undefined {
  return TOOLS.find(({ names, devices }) =>
    [...names, ...(devices?.names ?? [])].some((pattern) => fitsName(pattern, name)),
  )?.tool;
}

/** The tool that a rule of a chain that isn't built in belongs to: by the chain it goes to, and its sets. */
export function toolOfRule(rule: string): string | undefined {
  return TOOLS.find(({ names }) => isExempt(rule, names))?.tool;
}

/** The tools with rules in a built-in chain, each with the names by which these are known there. */
export function toolsIn(
  table: TableName,
  hook: string,
  rules: readonly string[],
): (Tool & { except: readonly string[] })[] {
  return TOOLS.flatMap((tool) => {
    const { names, devices } = tool;
    const isHere = devices?.hooks.includes(`${table}/${hook}`) ?? false;
    const known = [...names, ...(isHere ? (devices?.names ?? []) : [])];
    const own = isHere ? rules.flatMap((rule) => deviceLedTo(rule, names)) : [];
    const unknown = own.filter((name) => !known.some((pattern) => fitsName(pattern, name)));
    const except = [...known, ...new Set(unknown)];
    const found = except.filter((pattern) => rules.some((rule) => isExempt(rule, [pattern])));
    return found.length === 0 ? [] : [{ ...tool, except }];
  });
}

/** A bridge that somebody gave a name of its own: what goes out there is led to the tool's chain. */
function deviceLedTo(rule: string, chains: readonly string[]): string[] {
  const [, device, chain] = /^-o (\S+) -j (\S+)$/.exec(rule) ?? [];
  return device !== undefined && chain !== undefined && chains.some((pattern) => fitsName(pattern, chain))
    ? [device]
    : [];
}
