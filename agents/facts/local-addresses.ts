import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { Namespace } from "../exec/namespace.ts";
import { readLinks } from "./devices.ts";
import type { ProtectEntries, RouteLine } from "./protect-entries.ts";
import { gatewaysOf, protectEntries, resolversOf } from "./protect-entries.ts";

/**
 * What only the server itself knows of the protect set: its own addresses, the gateways of its default routes in every
 * table, its resolvers, and what every host needs. Read-only.
 */
const routeShape: z.ZodType<RouteLine> = z.lazy(() =>
  z.object({
    gateway: z.string().optional(),
    via: z.object({ host: z.string() }).optional(),
    nexthops: z.array(routeShape).optional(),
  }),
);

/** systemd-resolved puts itself (127.0.0.53) in the first, and those it asks in the second. */
const RESOLV_CONF = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

export async function localAddresses(
  live: Namespace,
  resolvConf: readonly string[] = RESOLV_CONF,
): Promise<ProtectEntries> {
  const [links, routes4, routes6, ...resolvers] = await Promise.all([
    readLinks(live),
    readDefaultRoutes(live, "-4"),
    readDefaultRoutes(live, "-6"),
    ...resolvConf.map((path) => readFile(path, "utf8").catch(() => "")),
  ]);
  return protectEntries([
    ...links.flatMap((link) =>
      link.addr_info.flatMap((one) => (one.local === undefined || one.scope === "link" ? [] : one.local)),
    ),
    ...gatewaysOf([...routes4, ...routes6]),
    ...resolvers.flatMap(resolversOf),
  ]);
}

async function readDefaultRoutes(live: Namespace, family: "-4" | "-6"): Promise<RouteLine[]> {
  const { code, stdout } = await live.run("ip", [
    family,
    "-json",
    "route",
    "show",
    "default",
    "table",
    "all",
  ]);
  // without IPv6 in the kernel there are no routes of it
  return code === 0 ? z.array(routeShape).parse(JSON.parse(stdout.trim() || "[]")) : [];
}
