import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import { z } from "zod";
import type { Namespace } from "../exec/namespace.ts";

/** What `ip -json -details address show` says, of what is used here. */
const linkShape = z.object({
  ifname: z.string(),
  mtu: z.int(),
  txqlen: z.int().optional(),
  master: z.string().optional(),
  linkinfo: z.object({ info_kind: z.string().optional() }).optional(),
  addr_info: z.array(
    z.object({
      family: z.string(),
      local: z.string().optional(),
      prefixlen: z.int().optional(),
      scope: z.string().optional(),
      temporary: z.boolean().optional(),
      tentative: z.boolean().optional(),
    }),
  ),
});
const linksShape = z.array(linkShape);
export type Link = z.infer<typeof linkShape>;

export async function readLinks(live: Namespace): Promise<Link[]> {
  const { code, stdout, stderr } = await live.run("ip", ["-json", "-details", "address", "show"]);
  if (code !== 0) throw new Error(`ip address show: ${stderr.trim()}`);
  return parseLinks(stdout);
}

export function parseLinks(json: string): Link[] {
  // in a namespace where a link has no field to show, ip prints `{}` in its place
  const items = z.array(z.looseObject({})).parse(JSON.parse(json.trim() || "[]"));
  return linksShape.parse(items.filter((item) => "ifname" in item));
}

export async function readDevices(live: Namespace): Promise<DeviceFacts[]> {
  return deviceFactsOf(await readLinks(live));
}

/**
 * The devices that policies may speak of. Left out is what comes and goes by itself, because new facts mean a new
 * decision: `lo`, IFBs (ours, and the two that the module brings), the ports of bridges that containers and virtual
 * machines hang on, addresses that IPv6 makes up for privacy or per link.
 */
export function deviceFactsOf(links: readonly Link[]): DeviceFacts[] {
  return links
    .filter((link) => link.ifname !== "lo" && kindOf(link) !== "ifb" && !isGuestPort(link))
    .map((link) => ({
      name: link.ifname,
      mtu: link.mtu,
      txQueueLength: link.txqlen ?? 0,
      addresses: link.addr_info
        .filter((one) => !one.temporary && !(one.family === "inet6" && one.scope === "link"))
        .flatMap((one) => (one.local === undefined ? [] : [`${one.local}/${one.prefixlen}`]))
        .sort(),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isGuestPort(link: Link): boolean {
  return link.master !== undefined && ["veth", "tun"].includes(kindOf(link));
}

function kindOf(link: Link): string {
  return link.linkinfo?.info_kind ?? "";
}
