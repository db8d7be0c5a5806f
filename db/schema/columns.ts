import { customType, text } from "drizzle-orm/pg-core";

/** A timestamptz that is an ISO string in UTC on this side: the client would give Postgres' own spelling. */
export const isoTime = customType<{ data: string; driverData: string }>({
  dataType: () => "timestamp with time zone",
  fromDriver: (value) => new Date(value).toISOString(),
});

export const bytea = customType<{ data: Buffer; driverData: Buffer }>({ dataType: () => "bytea" });

/** When something was decided, by whom and why. */
export function decided() {
  return { at: isoTime().notNull(), actor: text().notNull(), reason: text().notNull() };
}
