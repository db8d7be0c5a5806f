import type { Database } from "@sluice/db/connect";
import { factsTable, serverFactsTable } from "@sluice/db/schema/servers";
import type { Facts } from "@sluice/proto/manifest/facts";
import { type AddressRange, parseAddress } from "@sluice/proto/policy/addresses";
import { eq } from "drizzle-orm";

interface Known {
  family: 4 | 6;
  value: bigint;
  owner: string;
}

/**
 * Addresses that no list may block: those of the servers themselves, as they report them, and those of control and
 * NATS. An agent passes them by anyway; here they are refused with the name of whose they are.
 */
export class Protected {
  readonly #byOwner = new Map<string, Known[]>();

  /** `endpoints` are `ip:port` or `[v6]:port`. */
  constructor(endpoints: readonly string[]) {
    this.#keep(
      "control",
      endpoints.map((endpoint) => endpoint.replace(/:\d+$/, "").replace(/^\[|\]$/g, "")),
    );
  }

  learn(server: string, { devices }: Facts): void {
    const cidrs = devices.flatMap(({ addresses }) => addresses);
    this.#keep(
      server,
      cidrs.map((cidr) => cidr.split("/")[0] ?? cidr),
    );
  }

  async load({ db }: Database): Promise<void> {
    const rows = await db
      .select({ server: serverFactsTable.server, facts: factsTable.facts })
      .from(serverFactsTable)
      .innerJoin(factsTable, eq(factsTable.digest, serverFactsTable.digest));
    for (const { server, facts } of rows) this.learn(server, facts);
  }

  /** Whose address lies in the range; undefined where nobody's does. */
  ownerIn({ family, first, last }: AddressRange): string | undefined {
    for (const known of this.#byOwner.values()) {
      const hit = known.find(
        (address) => address.family === family && address.value >= first && address.value <= last,
      );
      if (hit) return hit.owner;
    }
    return undefined;
  }

  #keep(owner: string, addresses: readonly string[]): void {
    const known = addresses.flatMap((text) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [{ ...address, owner }];
    });
    this.#byOwner.set(owner, known);
  }
}
