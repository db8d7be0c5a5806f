import { createHash } from "node:crypto";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { SluiceError } from "@sluice/proto/base/errors";
import type { BlobRef } from "@sluice/proto/wire/envelope";
import { BUCKETS, blobKey, directGetSubject } from "@sluice/proto/wire/subjects";

const TIMEOUT_MS = 5_000;
const NOT_FOUND = 404;

/** The newest value of one key, by direct get: an agent has no other right on a bucket. Undefined: not there. */
export async function directGet(
  connection: NatsConnection,
  bucket: string,
  key: string,
): Promise<Uint8Array | undefined> {
  const message = await connection.request(directGetSubject(bucket, key), "", { timeout: TIMEOUT_MS });
  if (message.headers?.code === NOT_FOUND || wasDeleted(message)) return undefined;
  return message.data;
}

/** Fetches a blob's chunks in order. Throws where one is missing or the digest isn't the promised one. */
export async function fetchBlob(connection: NatsConnection, ref: BlobRef): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamBlob(connection, ref)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The chunks one after the other; that they were the promised ones is known only at the end. */
export async function* streamBlob(connection: NatsConnection, ref: BlobRef): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  let length = 0;
  for (let chunk = 0; chunk < ref.chunks; chunk += 1) {
    const bytes = await directGet(connection, BUCKETS.blobs, blobKey(ref.digest, chunk));
    if (bytes === undefined) {
      throw new SluiceError("UNAVAILABLE", `chunk ${chunk} of blob ${ref.digest} is missing`);
    }
    hash.update(bytes);
    length += bytes.length;
    yield bytes;
  }
  if (length !== ref.bytes || hash.digest("hex") !== ref.digest) {
    throw new SluiceError("REFUSED", `blob ${ref.digest} doesn't match its digest`);
  }
}

function wasDeleted(message: Msg): boolean {
  const operation = message.headers?.get("KV-Operation");
  return operation === "DEL" || operation === "PURGE";
}
