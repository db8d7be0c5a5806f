import { z } from "zod";
import { familyNumber } from "../manifest/manifest.ts";
import { listEntry } from "../wire/list.ts";
import { listFill } from "../wire/report.ts";
import { decidedView, entityName, reason } from "./common.ts";

export const createListInput = z.strictObject({
  list: entityName,
  families: z.array(familyNumber).min(1).default([4, 6]),
  description: z.string().max(500).default(""),
  reason,
});

export const LIST_CHANGE_MAX = 100_000;
/** ten years: what is longer is meant to be for ever */
export const LIST_LIFETIME_MAX_MS = 3650 * 86_400_000;

/**
 * Addresses, networks or ranges, as written by the user; a range counts as the networks that it consists of. Adding what
 * is there renews its `until`.
 */
export const changeListInput = z.strictObject({
  list: entityName,
  add: z.array(z.string().min(1)).max(LIST_CHANGE_MAX).default([]),
  del: z.array(z.string().min(1)).max(LIST_CHANGE_MAX).default([]),
  /** the added ones count this long; for ever unless said */
  forMs: z.int().min(1000).max(LIST_LIFETIME_MAX_MS).optional(),
  reason,
});

export const changeListView = z.strictObject({
  list: z.string(),
  /** 0 before the first change; unchanged where nothing had to be done */
  rev: z.int(),
  added: z.int(),
  /** there already, and their `until` is another now */
  renewed: z.int(),
  removed: z.int(),
  /** asked for, and nothing to do */
  unchanged: z.int(),
  entries: z.int(),
  until: z.string().optional(),
});
export type ChangeListView = z.infer<typeof changeListView>;

export const retireListInput = z.strictObject({ list: entityName, reason });
export const retireListView = z.strictObject({ list: z.string() });
export type RetireListView = z.infer<typeof retireListView>;

export const listRowView = z.strictObject({
  list: z.string(),
  families: z.array(familyNumber),
  description: z.string(),
  rev: z.int(),
  digest: z.string(),
  entries: z.int(),
  /** policies whose assigned revisions block it */
  usedBy: z.array(z.string()),
  changed: decidedView,
});
export type ListRowView = z.infer<typeof listRowView>;

/** Sorted by entry. `after` is the last entry of the page before. */
export const showListInput = z.strictObject({
  list: entityName,
  after: z.string().optional(),
  limit: z.int().min(1).max(LIST_CHANGE_MAX).default(1000),
});
export const listView = listRowView.omit({ entries: true }).extend({
  total: z.int(),
  entries: z.array(listEntry),
  /** the server whose set is the fullest; it is grown at three quarters */
  fullest: z.strictObject({ server: z.string(), ...listFill.shape }).optional(),
  /** pass as `after` for the next page; absent on the last */
  next: z.string().optional(),
});
export type ListView = z.infer<typeof listView>;
