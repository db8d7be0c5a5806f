import type { Database } from "@sluice/db/connect";
import { serverPulseTable } from "@sluice/db/schema/servers";
import type { Pulse } from "@sluice/proto/wire/report";
import { sql } from "drizzle-orm";

export interface LastPulse {
  pulse: Pulse;
  /** when it came, by control's clock (ISO) */
  at: string;
}

/**
 * The last pulse of each server: in memory, and in the database now and then, so that a restarted control knows who was
 * there. Pulses are no events.
 */
export class Pulses {
  readonly #last = new Map<string, LastPulse>();
  readonly #unsaved = new Set<string>();

  record(pulse: Pulse, at: string): void {
    this.#last.set(pulse.server, { pulse, at });
    this.#unsaved.add(pulse.server);
  }

  of(server: string): LastPulse | undefined {
    return this.#last.get(server);
  }

  all(): Iterable<LastPulse> {
    return this.#last.values();
  }

  async load({ db }: Database): Promise<void> {
    for (const { server, pulse, at } of await db.select().from(serverPulseTable)) {
      if (!this.#last.has(server)) this.#last.set(server, { pulse, at });
    }
  }

  async save({ db }: Database): Promise<void> {
    const rows = [...this.#unsaved].flatMap((server) => {
      const last = this.#last.get(server);
      return last === undefined ? [] : [{ server, ...last }];
    });
    if (rows.length === 0) return;
    this.#unsaved.clear();
    await db
      .insert(serverPulseTable)
      .values(rows)
      .onConflictDoUpdate({
        target: serverPulseTable.server,
        set: { pulse: sql`excluded.pulse`, at: sql`excluded.at` },
      });
  }
}
