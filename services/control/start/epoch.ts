import type { Database } from "@sluice/db/connect";
import { Appender } from "@sluice/db/log/append";
import { SluiceError } from "@sluice/proto/base/errors";
import { SCHEMA_VERSIONS, streamOf } from "@sluice/proto/events/event";
import { load } from "../context/execute.ts";
import type { Clock, Ids } from "../context/services.ts";
import { decideEpoch, fleetEntity } from "../fleet/decide.ts";

/**
 * A database that was restored knows less than the servers do: a generation it issues may be one they have had. In a
 * new epoch all of its generations are newer. It is opened while no control runs; the fleet is frozen by it, so that
 * servers keep what they hold until somebody has looked and thaws it.
 */
export async function openEpoch(
  database: Database,
  {
    clock,
    ids,
    actor,
    reason,
    epoch,
  }: { clock: Clock; ids: Ids; actor: string; reason: string; epoch?: number },
): Promise<number> {
  const { state, version } = await load({ database }, streamOf.fleet(), fleetEntity);
  const events = decideEpoch(state, epoch);
  const meta = { at: clock.now().toISOString(), actor, reason, correlation: ids.uuid() };
  const appender = new Appender(database);
  try {
    const verdict = await appender.append({
      stream: streamOf.fleet(),
      expected: version,
      events: events.map(({ type, data }) => ({
        ...{ id: ids.uuid(), type, schemaVersion: SCHEMA_VERSIONS[type] ?? 1, data, meta, keys: {} },
      })),
    });
    if (verdict.outcome === "conflict") {
      throw new SluiceError("CONFLICT", "the fleet was changed meanwhile", {
        cure: "stop control, then try again",
      });
    }
  } finally {
    await appender.close();
  }
  return await currentEpoch(database);
}

/** The epoch that generations are issued under: 1 in a new database. */
export async function currentEpoch(database: Database): Promise<number> {
  return (await load({ database }, streamOf.fleet(), fleetEntity)).state.epoch;
}
