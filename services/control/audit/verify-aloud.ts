import { setTimeout as delay } from "node:timers/promises";
import type { AuditVerifyProgress } from "@sluice/proto/api/proof";
import { Hub } from "../context/hub.ts";
import type { Context } from "../context/services.ts";
import { verifyLog } from "./verify.ts";

const TOLD_EVERY_MS = 500;

/** Verifies the log and tells how far it has come; the result is the last that is told. */
export async function* verifyAloud(ctx: Context, signal: AbortSignal): AsyncGenerator<AuditVerifyProgress> {
  const hub = new Hub();
  const done = new AbortController();
  let progress: AuditVerifyProgress | undefined;
  const verifying = verifyLog(ctx, {
    signal,
    onProgress(now) {
      progress = now;
      hub.poke();
    },
  }).finally(() => done.abort());
  verifying.catch(() => {}); // who still listens is told below
  for await (const _ of hub.looks(AbortSignal.any([signal, done.signal]))) {
    if (progress !== undefined) yield progress;
    await delay(TOLD_EVERY_MS, undefined, { signal: done.signal }).catch(() => {});
  }
  yield { result: await verifying };
}
