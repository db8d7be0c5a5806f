import type { DeviceFacts } from "@sluice/proto/manifest/facts";
import { z } from "zod";
import type { Namespace } from "../exec/namespace.ts";
import type { Around } from "./packet.ts";

const routes = z.array(z.object({ dev: z.string().optional() }));

/** What a server's own routes say. Read only. */
export function aroundOf(live: Pick<Namespace, "run">, devices: readonly DeviceFacts[]): Around {
  return {
    devices,
    async deviceTo(address) {
      const { code, stdout } = await live.run("ip", ["-json", "route", "get", address]);
      const [route] = code === 0 ? routes.parse(JSON.parse(stdout)) : [];
      return route?.dev === "lo" ? undefined : route?.dev;
    },
  };
}
