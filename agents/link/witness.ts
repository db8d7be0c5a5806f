import {
  type KeySet,
  openMessage,
  type SignedMessage,
  type SigningKey,
  signMessage,
} from "@sluice/proto/base/sign";
import { byAge, type Checkpoint, checkpoint, type Witness } from "@sluice/proto/wire/checkpoint";
import { type RecordFile, readOr } from "../state/record-file.ts";

/**
 * Bears witness of control's log: remembers the newest checkpoint that control told, also over a restart, and says it in
 * pulses, signed. So a log that is cut off or written anew is contradicted by every server that was there.
 *
 * 1. Only what control signed counts. An older one than was seen is passed over: it may just have come late.
 * 2. Another one of the same place is told: control signed two histories.
 */
export interface WitnessBox {
  /** False where it is no checkpoint. */
  hear(bytes: Uint8Array): boolean;
  /** what a pulse says of it; undefined where one said it lately */
  word(): SignedMessage | undefined;
  /** Returns when what it saw is on the disk. */
  close(): Promise<void>;
}

export interface WitnessOptions {
  server: string;
  /** control's, pinned */
  keys: KeySet;
  reportKey: SigningKey;
  file: RecordFile<SignedMessage>;
  now(): Date;
  onContradiction(seen: Checkpoint, told: Checkpoint): void;
}

const SAID_AGAIN_MS = 60_000;

export async function openWitnessBox(options: WitnessOptions): Promise<WitnessBox> {
  const { server, keys, reportKey, file, now } = options;
  let word: SignedMessage | undefined;
  let saidAtMs: number | undefined;
  let contradicted: string | undefined;
  let writing = Promise.resolve();

  const open = (message: SignedMessage | Uint8Array) =>
    openMessage(
      keys,
      "checkpoint",
      checkpoint,
      message instanceof Uint8Array ? message : JSON.stringify(message),
    );
  const kept = await readOr(file, () => undefined);
  const opened = kept && open(kept);
  let seen = opened?.ok ? opened.value : undefined;
  if (kept !== undefined && seen !== undefined) word = sign(kept);

  function sign(message: SignedMessage): SignedMessage {
    const value: Witness = { v: 1, server, checkpoint: message, at: now().toISOString() };
    return signMessage(reportKey, "witness", value);
  }

  return {
    hear(bytes) {
      const told = open(bytes);
      if (!told.ok) return false;
      const age = seen === undefined ? 1 : byAge(told.value, seen);
      if (
        seen !== undefined &&
        age === 0 &&
        told.value.hash !== seen.hash &&
        contradicted !== told.value.hash
      ) {
        contradicted = told.value.hash;
        options.onContradiction(seen, told.value);
      }
      if (age <= 0) return true;
      const message: SignedMessage = JSON.parse(Buffer.from(bytes).toString());
      seen = told.value;
      word = sign(message);
      saidAtMs = undefined;
      // a disk that takes nothing costs only what a restart forgets
      writing = writing.then(() => file.write(message)).catch(() => undefined);
      return true;
    },

    word() {
      const nowMs = performance.now();
      if (saidAtMs !== undefined && nowMs - saidAtMs < SAID_AGAIN_MS) return undefined;
      saidAtMs = nowMs;
      return word;
    },

    close: () => writing,
  };
}
