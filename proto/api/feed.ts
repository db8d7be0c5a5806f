import { z } from "zod";
import { decidedView, entityName, reason } from "./common.ts";

/** Who reads the feed gets a consumer in the broker: its own place in the feed, kept there. */
export const addReaderInput = z.strictObject({
  reader: entityName,
  /** the first event it gets, by its seq; `new`: what is stored from now on */
  from: z.union([z.int().min(1), z.literal("new")]).default(1),
  /** only events of this type */
  only: z.string().optional(),
  reason,
});

export const removeReaderInput = z.strictObject({ reader: entityName, reason });

export const addReaderView = z.strictObject({
  reader: z.string(),
  stream: z.string(),
  consumer: z.string(),
  /** the seq of the first event it gets */
  from: z.int(),
  only: z.string().optional(),
  nats: z.array(z.string()),
  inboxPrefix: z.string(),
  /** false: once control and NATS are together again */
  inEffect: z.boolean(),
  /** a NATS credentials file, shown this once; absent where the broker takes plain connections */
  credentials: z.string().optional(),
});
export type AddReaderView = z.infer<typeof addReaderView>;

export const readerRowView = z.strictObject({
  reader: z.string(),
  consumer: z.string(),
  from: z.int(),
  only: z.string().optional(),
  /** as the broker said when it was asked last */
  place: z
    .strictObject({
      /** every event up to it was acknowledged */
      acked: z.int(),
      /** how many it has not acknowledged yet */
      waiting: z.int(),
      at: z.string(),
    })
    .optional(),
  added: decidedView,
});
export type ReaderRowView = z.infer<typeof readerRowView>;

export const removeReaderView = z.strictObject({
  reader: z.string(),
  consumer: z.string(),
  /** false: once control and NATS are together again */
  inEffect: z.boolean(),
});
export type RemoveReaderView = z.infer<typeof removeReaderView>;
