import type { ForeignFacts } from "@sluice/proto/manifest/facts";
import type { Target } from "../drivers/driver.ts";
import { readIptables } from "../drivers/iptables/read.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { foreignFactsOf } from "../facts/foreign-facts.ts";
import { localAddresses } from "../facts/local-addresses.ts";
import { probeFacts } from "../facts/probe-facts.ts";
import type { Known } from "./agent-parts.ts";

export interface LookOptions {
  live: Namespace;
  /** the agent's own version */
  version: string;
  /** `ip:port` of control and NATS */
  control: readonly string[];
  /** where it isn't the one that is probed */
  backend?: IptablesBackend | undefined;
  probe?: typeof probeFacts | undefined;
}

const NOTHING: Target = { sets: [], chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };

/** Finds out about this server. What its kernel can do is tried each time too: a module may have come. */
export function createLook({
  live,
  version,
  control,
  backend,
  probe = probeFacts,
}: LookOptions): () => Promise<Known> {
  return async () => {
    const [facts, local] = await Promise.all([probe({ live, agent: version }), localAddresses(live)]);
    const foreign = await lookForeign(live, backend ?? facts.capabilities.iptables.backend);
    return {
      facts: { ...facts, ...(foreign && { foreign }) },
      local: { protect: [...local[4], ...local[6]], control },
      ownAddresses: facts.devices.flatMap(({ addresses }) => addresses.flatMap(dialable)),
    };
  };
}

/** Undefined where it can't be read: a later look at the tables tells. */
async function lookForeign(live: Namespace, backend: IptablesBackend): Promise<ForeignFacts | undefined> {
  const snapshot = await readIptables(live, NOTHING, backend).catch(() => undefined);
  return snapshot && foreignFactsOf(snapshot);
}

/** Without prefix length; an address of the link alone can't be dialled from elsewhere. */
function dialable(cidr: string): string[] {
  const [address = ""] = cidr.split("/");
  return /^(127\.|169\.254\.|fe80:|::1$)/i.test(address) ? [] : [address];
}
