import type { Queryable } from "@sluice/db/connect";
import { readStream } from "@sluice/db/log/read";
import { upcastEvents } from "@sluice/db/log/upcast-events";
import type { Finding } from "@sluice/proto/api/proof";
import { type Opened, openMessage, type SignedMessage } from "@sluice/proto/base/sign";
import { streamOf } from "@sluice/proto/events/event";
import { upcast } from "@sluice/proto/events/upcast";
import { type Checkpoint, checkpoint } from "@sluice/proto/wire/checkpoint";
import { isHeld, type SignedSuccession, type Signers, tooLate } from "@sluice/proto/wire/succession";

/** Successions of control's key as the log tells of them, oldest first, whoever signed them. */
export async function successionsSaid(db: Queryable): Promise<(SignedSuccession & { seq: number })[]> {
  const said = [];
  for await (const { seq, type, data } of upcastEvents(readStream(db, streamOf.log()), upcast))
    if (type === "SigningKeyChanged") said.push({ ...data, seq });
  return said;
}

/** Those that no key vouches for which follows from control's own. */
export async function forgedSuccessions(db: Queryable, signers: Signers): Promise<Finding[]> {
  return (await successionsSaid(db))
    .filter(({ seq: _, ...said }) => !isHeld(signers, said))
    .map(({ seq }) => ({
      ...{ tampering: "forged" as const, seq, type: "SigningKeyChanged", stream: streamOf.log() },
      message: `event ${seq} says that control's key was changed, which the key that follows didn't sign`,
    }));
}

/** A checkpoint that control signed, with the key that it had then. */
export function openCheckpoint(signers: Signers, message: SignedMessage | string): Opened<Checkpoint> {
  const text = typeof message === "string" ? message : JSON.stringify(message);
  const opened = openMessage(signers.keys, "checkpoint", checkpoint, text);
  if (!opened.ok) return opened;
  const { kid } = JSON.parse(text) as SignedMessage;
  const reason = tooLate(signers, kid, opened.value);
  return reason === undefined ? opened : { ok: false, reason };
}
