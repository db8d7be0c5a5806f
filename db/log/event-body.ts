import { canonicalJson } from "@sluice/proto/base/canonical";
import { sha256, sha256Hex } from "@sluice/proto/base/digest";
import { SluiceError } from "@sluice/proto/base/errors";

/**
 * The body of an event: what the chain's hash covers, as canonical JSON (RFC 8785).
 *
 *     {
 *       id, stream, streamVersion, type, schemaVersion,
 *       data: { … },                                           the event itself
 *       keys: { policy?, server?, list?, rollout? },           what it is found by
 *       meta: { at, correlation, actor: hex, reason: hex }     sha256(salt ‖ value)
 *     }
 *
 * 1. It is written before any lock and holds neither seq nor the previous hash.
 * 2. Actor and reason stand in it as digests only. Salt and value are kept beside the log (table `personal`), so
 *    they can be erased and the chain stays whole.
 * 3. The columns that queries use are written from the same values; `verify` holds them against it.
 */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json | undefined };

export const KEYS = ["policy", "server", "list", "rollout"] as const;
export type EventKeys = { readonly [key in (typeof KEYS)[number]]?: string | undefined };

export interface NewEvent {
  /** A UUID, made once by who decides. The same id again is the same event, never a second one. */
  id: string;
  type: string;
  schemaVersion: number;
  data: JsonObject;
  /** `at` is an ISO time; one command and all that follows from it share a correlation. */
  meta: { at: string; actor: string; reason: string; correlation: string };
  keys: EventKeys;
}

export interface EventBody {
  id: string;
  stream: string;
  streamVersion: number;
  type: string;
  schemaVersion: number;
  data: unknown;
  keys: EventKeys;
  meta: { at: string; correlation: string; actor: string; reason: string };
}

/** What may be erased, beside the salt (hex) of its digest. */
export interface Salted {
  salt: string;
  value: string;
}

/** An event as `append_batch` takes it. */
export interface PreparedEvent {
  /** the text, and the values it was made of */
  body: string;
  values: EventBody;
  actor: Salted;
  reason: Salted;
}

const mostBodyBytes = 16 * 1024 * 1024;
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Throws INVALID where the log can't hold the event, so that nothing malformed ever shares a batch. */
export function prepareEvent(
  event: NewEvent,
  stream: string,
  streamVersion: number,
  newSalt: () => Buffer,
): PreparedEvent {
  const { id, type, schemaVersion, data, meta, keys } = event;
  if (!uuid.test(id)) throw refused(event, "its id is no lower-case UUID");
  if (!Number.isInteger(schemaVersion) || schemaVersion < 1)
    throw refused(event, "its schema version is no count");
  if (Number.isNaN(Date.parse(meta.at))) throw refused(event, `its time ${meta.at} is no ISO time`);
  const names = [stream, type, meta.actor, meta.correlation, ...KEYS.map((key) => keys[key] ?? "-")];
  if (names.some((name) => name === "" || name.length > 500)) {
    throw refused(event, "stream, type, actor, correlation and keys have 1 to 500 characters");
  }
  const actorSalt = newSalt();
  const reasonSalt = newSalt();
  const values: EventBody = {
    id,
    stream,
    streamVersion,
    type,
    schemaVersion,
    data,
    keys: Object.fromEntries(KEYS.map((key) => [key, keys[key]])),
    meta: {
      at: new Date(meta.at).toISOString(),
      correlation: meta.correlation,
      actor: saltedDigest(actorSalt, meta.actor),
      reason: saltedDigest(reasonSalt, meta.reason),
    },
  };
  const body = asText(event, values);
  if (Buffer.byteLength(body) > mostBodyBytes)
    throw refused(event, `its body is over ${mostBodyBytes} bytes`);
  if (
    holdsNul(body) ||
    [meta.actor, meta.reason].some((value) => value.includes("\0") || !value.isWellFormed())
  ) {
    throw refused(event, "it holds a NUL character or half a surrogate pair, which Postgres can't store");
  }
  return {
    body,
    values,
    actor: { salt: actorSalt.toString("hex"), value: meta.actor },
    reason: { salt: reasonSalt.toString("hex"), value: meta.reason },
  };
}

/** sha256(salt ‖ value), hex. */
export function saltedDigest(salt: Uint8Array, value: string): string {
  return sha256Hex(Buffer.concat([salt, Buffer.from(value)]));
}

/** sha256(previous hash ‖ seq as 8 bytes ‖ sha256(body)): what `append_batch` computes in SQL. */
export function chainHash(previous: Uint8Array, seq: number, body: string): Buffer {
  const place = Buffer.alloc(8);
  place.writeBigInt64BE(BigInt(seq));
  return sha256(Buffer.concat([previous, place, sha256(body)]));
}

function asText(event: NewEvent, values: EventBody): string {
  try {
    return canonicalJson(values);
  } catch (error) {
    throw refused(event, error instanceof Error ? error.message : String(error));
  }
}

/** An escaped NUL, and not an escaped backslash before "u0000". */
export function holdsNul(text: string): boolean {
  return text.includes("\\u0000") && /(?<!\\)(?:\\\\)*\\u0000/.test(text);
}

function refused(event: NewEvent, why: string): SluiceError {
  return new SluiceError("INVALID", `an event of type ${event.type} can't be stored: ${why}`);
}
