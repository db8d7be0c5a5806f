import { fillBlocks } from "@sluice/db/history/blocks";
import { follow } from "@sluice/db/log/follow";
import type { Projector } from "@sluice/db/projections/projector";
import { goOnDropping } from "../audit/drop-archived.ts";
import { asSluice, type Services } from "../context/services.ts";
import { expireEntries } from "../lists/expire.ts";
import { sendPulse } from "../loops/control-pulse.ts";
import { every } from "../loops/every.ts";
import { keepRunning } from "../loops/keep-running.ts";
import type { Publisher } from "../loops/publish-desired.ts";
import { sweepPlans } from "../plans/sweep.ts";
import { resumeRollouts, sweepRollouts } from "../rollouts/sweep.ts";

const SAVED_EVERY_MS = 10_000;
const MENDED_EVERY_MS = 5_000;

/** Everything that control does by itself, until the signal; returns when all of it has ended. */
export async function runLoops(
  services: Services,
  projector: Projector,
  publishers: readonly Publisher[],
  signal: AbortSignal,
): Promise<void> {
  const { database, hub, link, listening, log, past, pulses, witnesses, timings, ids } = services;
  const until = { signal, log };
  const sluice = () => asSluice(services, ids.uuid());
  async function project(): Promise<void> {
    await projector.catchUp();
    hub.poke();
  }
  async function remember(): Promise<void> {
    await past.catchUp();
    await fillBlocks(database, signal);
  }
  async function drop(): Promise<void> {
    await goOnDropping(services, { signal });
  }
  async function sweep(): Promise<void> {
    listening.look(link.connected());
    try {
      await sweepPlans(sluice());
      await resumeRollouts(sluice());
      await sweepRollouts(sluice());
    } catch (error) {
      listening.look(false);
      throw error;
    }
  }
  await Promise.all([
    keepRunning("keeping the tables up", () => follow(database, project, until), until),
    keepRunning("keeping the history", () => follow(database, remember, until), until),
    ...publishers.map((publisher) => keepRunning("publishing", (stop) => publisher.run(stop), until)),
    every(timings.sweepMs, "looking for deadlines", sweep, until),
    every(timings.listSweepMs, "taking out expired addresses", () => expireEntries(sluice()), until),
    every(timings.controlPulseMs, "control's pulse", () => sendPulse(services), until),
    every(SAVED_EVERY_MS, "dropping what is archived", drop, until),
    every(MENDED_EVERY_MS, "looking for NATS' streams", () => link.mend(), until),
    every(SAVED_EVERY_MS, "keeping pulses", () => pulses.save(database), until),
    every(SAVED_EVERY_MS, "keeping witnesses' words", () => witnesses.save(database), until),
  ]);
}
