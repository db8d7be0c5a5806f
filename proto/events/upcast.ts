import { z } from "zod";
import { SluiceError } from "../base/errors.ts";
import type { SluiceEvent } from "./event.ts";
import { eventData, isEventType, SCHEMA_VERSIONS } from "./event.ts";

type Upcaster = (data: unknown) => unknown;

/** Pure steps from one stored version to the next: `UPCASTERS.PolicyRevised[1]` turns version 1 into version 2. */
const UPCASTERS: Readonly<Record<string, Readonly<Record<number, Upcaster>>>> = {};

/**
 * A stored event in today's shape; undefined for a type this version doesn't know (a reader skips it).
 * Throws INTERNAL where a known type can't be read: a reader must stop there.
 */
export function upcast(type: string, schemaVersion: number, data: unknown): SluiceEvent | undefined {
  if (!isEventType(type)) return undefined;
  const today = SCHEMA_VERSIONS[type] ?? 1;
  if (schemaVersion > today) {
    throw new SluiceError(
      "INTERNAL",
      `a stored ${type} has version ${schemaVersion}; this one knows ${today}`,
    );
  }
  let current = data;
  for (let version = schemaVersion; UPCASTERS[type]?.[version]; version += 1) {
    current = UPCASTERS[type]?.[version]?.(current);
  }
  const parsed = eventData[type].safeParse(current);
  if (!parsed.success) {
    throw new SluiceError(
      "INTERNAL",
      `a stored ${type} (version ${schemaVersion}) can't be read: ${z.prettifyError(parsed.error)}`,
    );
  }
  return { type, data: parsed.data } as SluiceEvent;
}
